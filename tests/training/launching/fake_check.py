"""The program of a check for tests: the contract of `training.pipeline.check` without reading anything.

    python fake_check.py --run-dir DIR

``behaviour.txt`` beside the folders of all checks makes it find "problems", "crash" without a word, or "hang".
"""

import json
import sys
import time
from pathlib import Path

LENGTHS = {"rows": 20, "min": 4, "median": 12, "p95": 40, "max": 64, "histogram": [[16, 12], [32, 5], [64, 3]]}
FINE = {
    "rows": 20,
    "problems": [],
    "warnings": ["2 conversations are longer than max_length."],
    "tokenizer": {
        "chat_template": True, "assistant_mask": True, "end_token": "<|im_end|>", "ends_with_end_token": True,
    },
    "lengths": {"prompt": LENGTHS, "completion": LENGTHS, "conversation": LENGTHS},
    "stages": {
        "dpo": {
            "rows": 14, "dropped": {"too_long": 2, "identical": 0}, "steps": 7, "warmup_steps": 5,
            "batch": 2, "micro_batch": 1, "accumulation": 2,
        },
    },
    "memory_bytes": 2_000_000_000,
    "memory_free_bytes": 8_000_000_000,
}  # fmt: skip
PROBLEMS = [
    {"field": "snapshot", "message": "Only 3 pairs remain; DPO needs 16."},
    {"field": "recipe", "message": "max_length is longer than the model's context."},
]
DROPPED = [
    {"stage": "dpo", "reason": "too_long", "prompt_id": "7", "tokens": 90, "limit": 64, "excerpt": "<b>Why</b> is"},
    {"stage": "dpo", "reason": "too_long", "line": 3, "tokens": 99, "limit": 64, "excerpt": "And how"},
]


def main(run_dir: Path) -> None:
    orders = run_dir.parent.parent / "behaviour.txt"
    what = orders.read_text() if orders.exists() else ""
    told = json.loads((run_dir / "stage.json").read_text())
    assert Path(told["inputs"]["prompts_train"]).exists()
    if what == "crash":
        sys.exit(7)
    if what == "hang":
        (run_dir / "progress.json").write_text(json.dumps({"done": 3, "total": 20, "unit": "rows", "phase": "reading"}))
        time.sleep(600)
    (run_dir / "dropped.jsonl").write_text("".join(json.dumps(row) + "\n" for row in DROPPED))
    if what == "problems":
        (run_dir / "check.json").write_text(json.dumps(FINE | {"problems": PROBLEMS}))
        (run_dir / "error.json").write_text(json.dumps({"error": "RunDirError", "message": "Two problems."}))
        sys.exit(1)
    (run_dir / "check.json").write_text(json.dumps(FINE))
    (run_dir / "result.json").write_text(json.dumps(FINE))


if __name__ == "__main__":
    main(Path(sys.argv[sys.argv.index("--run-dir") + 1]))
