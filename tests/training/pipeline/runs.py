"""Run directories of stages, with tiny models and a few pairs that have something to learn."""

import json
from pathlib import Path
from typing import Any

from sampling.engine.run_dir import read_stage, write_result, write_stage
from training.recipe import SECTIONS, load

MARGINS = {"significantly_better": 1.0, "better": 2 / 3, "slightly_better": 1 / 3, "negligibly_better": 0.0}


def pair(
    number: int = 0, *, chosen: str = "yes yes yes", rejected: str = "no no no", strength: str = "better", **changes
) -> dict[str, Any]:
    """A row of the preference export. All that its rule asks for is a yes."""
    return {
        "prompt": [{"role": "user", "content": f"Question {number}?"}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "strength": strength,
        "margin": MARGINS[strength],
        "prompt_id": str(number),
        "comparison_id": number,
        "votes": 3,
        "votes_against": 0,
        "split": "train",
    } | changes


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def prompts_file(path: Path, count: int) -> Path:
    rows = [
        {"id": f"p{i}", "messages": [{"role": "user", "content": f"Why is the sky blue, question {i}?"}]}
        for i in range(count)
    ]
    return write_lines(path, rows)


def stage_dir(path: Path, kind: str, *, inputs: dict[str, Path | list[Path]], seed: int = 17, **changes: Any) -> Path:
    """A run directory whose stage is told the smoke recipe's section, with changes."""
    told = load("smoke").resolved()[kind] | changes
    SECTIONS[kind].parse(told, source="the test")
    given = {name: list(map(str, each)) if isinstance(each, list) else str(each) for name, each in inputs.items()}
    stage = {"recipe": told, "seed": seed, "inputs": given}
    write_stage(path, stage | {"outputs_dir": "checkpoint"})
    return path


class FakeEngine:
    """Stands in for an `EngineChild`: writes what `answer` says in the engine's format, and remembers its calls."""

    def __init__(self, answer) -> None:
        self.answer = answer  # (model, prompt_id, index) -> (text, finish_reason)
        self.models: list[str] = []

    def __call__(self, run_dir: Path, *, on_progress=None) -> dict[str, Any]:
        told = read_stage(run_dir)
        self.models.append(told["model"])
        rows = []
        for prompt in read_lines(run_dir / told["prompts"]):
            for index in reversed(range(told["n"])):  # the real one writes them as they end, in any order
                text, reason = self.answer(told["model"], prompt["id"], index)
                rows.append(
                    {
                        "prompt_id": prompt["id"],
                        "index": index,
                        "text": text,
                        "tokens": len(text.split()),
                        "finish_reason": reason,
                    }
                )
        write_lines(run_dir / "completions.jsonl", rows)
        on_progress({"done": len(rows), "total": len(rows), "unit": "completions", "phase": "sampling"})
        result = {"completions": len(rows), "new_completions": len(rows)}
        write_result(run_dir, result)
        return result
