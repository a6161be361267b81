"""A stage's program for tests: the run directory's contract without the learning. Alone it knows nothing of Django.

    python fake_stage.py KIND --run-dir DIR

It writes KIND into started.txt beside the run directories when it begins and into ended.txt when it ends well, and
the figures that a real stage would. ``behaviour.json`` beside the run directories, {KIND: what}, makes it "fail",
"crash" without a word, "hang" until it is stopped, or "hang once": only the first time.
"""

import json
import sys
import time
from pathlib import Path

TRAINS = ("demonstrations", "reward_model", "judge_model", "sft", "dpo")
RESULTS = {
    "check": {"rows": 24},
    "demonstrations": {"rows": 18, "dropped": {}, "final_loss": 1.5},
    "judge_model": {"pairs_train": 10, "pairs_eval": 40, "accuracy": 0.6, "accuracy_low": 0.4, "accuracy_high": 0.8},
    "harness": {"perplexity_ratio": 1.01, "largest_drop": 0.2},
    "reward_model": {"pairs_train": 40, "pairs_eval": 10, "accuracy": 0.7, "accuracy_low": 0.4, "accuracy_high": 0.9},
    "rejection_sampling": {"candidates": 80, "kept": 18, "mean_score_all": 0.1, "mean_score_kept": 0.8},
    "sft": {"rows": 18, "dropped": {"too_long": 2}, "final_loss": 1.25},
    "dpo": {"pairs": 40, "dropped": {}, "first_loss": 0.6931, "final_loss": 0.41},
    "evaluate": {
        "prompts": 12, "win_rate": 0.7, "win_rate_low": 0.6, "win_rate_high": 0.8,
        "mean_tokens_new": 50.0, "mean_tokens_old": 55.0, "mean_words_new": 40.0, "mean_words_old": 44.0,
    },
}  # fmt: skip


def main(kind: str, run_dir: Path) -> None:
    note(run_dir.parent / "started.txt", kind)
    print(f"stage {kind} begins", flush=True)
    behave(kind, run_dir)
    told = json.loads((run_dir / "stage.json").read_text())
    for name, read in told["inputs"].items():
        for path in paths_in(read) if name not in ("caches", "names") else []:
            assert not path or Path(path).exists(), f"{name}: {path}"
    for step in range(1, 6):
        if kind in TRAINS:
            row = {"step": step, "loss": 0.6931 / step, "learning_rate": 1e-5 / step}
            with (run_dir / "metrics.jsonl").open("a") as metrics:
                metrics.write(json.dumps(row) + "\n")
        write(run_dir / "progress.json", {"done": step, "total": 5, "unit": "steps", "phase": "training"})
    leave_behind(kind, run_dir)
    note(run_dir.parent / "ended.txt", kind)
    write(run_dir / "result.json", RESULTS[kind])


def paths_in(read: str | list | dict) -> list[str]:
    """An input is a path, or several, in a list or by name."""
    return [read] if isinstance(read, str) else list(read.values() if isinstance(read, dict) else read)


def behave(kind: str, run_dir: Path) -> None:
    orders = run_dir.parent / "behaviour.json"
    what = json.loads(orders.read_text()).get(kind) if orders.exists() else None
    seen = (run_dir.parent / "started.txt").read_text().split().count(kind)
    if what == "fail":
        write(run_dir / "error.json", {"error": "RunDirError", "message": "It has 3 rows; it needs 16. Add rows."})
        sys.exit(1)
    if what == "crash":
        sys.exit(7)
    if what == "hang" or (what == "hang once" and seen == 1):
        write(run_dir / "progress.json", {"done": 1, "total": 5, "unit": "steps", "phase": "training"})
        time.sleep(600)


def leave_behind(kind: str, run_dir: Path) -> None:
    if kind in TRAINS:
        checkpoint = run_dir / "checkpoint"
        checkpoint.mkdir(exist_ok=True)
        architecture = (
            "LlamaForSequenceClassification" if kind in ("reward_model", "judge_model") else "LlamaForCausalLM"
        )
        write(checkpoint / "config.json", {"architectures": [architecture]})
        (checkpoint / "model.safetensors").write_bytes(kind.encode())
    if kind == "rejection_sampling":
        (run_dir / "kept.jsonl").write_text('{"messages": []}\n')
        prompt = [{"role": "user", "content": "What is jam?"}]
        row = {"prompt_id": "jam", "messages": prompt, "index": 0, "text": "Fruit.", "score": 0.1}
        (run_dir / "candidates.jsonl").write_text(json.dumps(row) + "\n")
    if kind == "evaluate":
        prompt = [{"role": "user", "content": "What is jam?"}]
        row = {"prompt": prompt, "old": "Sure! Jam <b>is</b>", "new": "Boiled fruit.", "verdict": 1.0}
        (run_dir / "judged.jsonl").write_text(json.dumps(row) + "\n")


def note(path: Path, kind: str) -> None:
    with path.open("a") as file:
        file.write(f"{kind}\n")


def write(path: Path, content: dict) -> None:
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(content))
    temporary.rename(path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[sys.argv.index("--run-dir") + 1]))
