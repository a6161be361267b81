"""Completions of a stage's prompts, written by an engine in a child process.

A child, so that the engine's memory can be free again when the reward model loads. What an earlier attempt
sampled is used again, unless the stage has been told something else since.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sampling.engine.run_dir import STAGE, Progress, read_result, write_stage
from training.pipeline.preferences import Messages, read_rows
from training.recipe import Sampling

# As a sampling.engine.child.EngineChild: (run directory, on_progress=...) -> done, or an exception
Generate = Callable[..., Any]

PROMPTS = "prompts.jsonl"
COMPLETIONS = "completions.jsonl"


@dataclass(frozen=True)
class Prompt:
    """A prompt of the stage."""

    id: str
    messages: Messages


@dataclass(frozen=True)
class Completion:
    """One model output, as the engine wrote it."""

    prompt_id: str
    index: int
    text: str
    tokens: int
    finish_reason: str


def key_of(messages: Messages) -> str:
    """What tells one prompt from another whatever its id: what it asks."""
    return json.dumps(messages, ensure_ascii=False, sort_keys=True)


def read_prompts(path: Path | str) -> list[Prompt]:
    """Read `{"id", "messages"}` a line."""
    return [Prompt(str(row["id"]), row["messages"]) for _, row in read_rows(path)]


def read_completions(path: Path) -> list[Completion]:
    """Read the engine's output, in the order of prompt and index whatever order they were finished in."""
    keys = Completion.__dataclass_fields__
    found = [Completion(**{key: row[key] for key in keys}) for _, row in read_rows(path)]
    return sorted(found, key=lambda completion: (completion.prompt_id, completion.index))


def sample(
    directory: Path,
    *,
    policy: str,
    prompts: list[Prompt],
    recipe: Sampling,
    n: int,
    seed: int,
    progress: Progress,
    phase: str,
    generate: Generate,
) -> list[Completion]:
    """Have `policy` write n completions of each prompt, in a run directory of its own."""
    told = {
        "model": policy,
        "prompts": PROMPTS,
        "n": n,
        "seed": seed,
        "temperature": recipe.temperature,
        "top_p": recipe.top_p,
        "max_tokens": recipe.max_tokens,
        "max_model_len": recipe.max_model_len,
        "urls": [],
    }
    lines = [json.dumps({"id": each.id, "messages": each.messages}) + "\n" for each in prompts]
    if not _told_before(directory, told, lines):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / PROMPTS).write_text("".join(lines), encoding="utf-8")
        write_stage(directory, told)
    if read_result(directory) is None:
        progress.update(0, phase=phase)
        generate(directory, on_progress=lambda seen: _show(seen, progress, phase))
    return read_completions(directory / COMPLETIONS)


def _told_before(directory: Path, told: dict[str, Any], lines: list[str]) -> bool:
    stage, prompts = directory / STAGE, directory / PROMPTS
    return (
        stage.is_file()
        and prompts.is_file()
        and json.loads(stage.read_text(encoding="utf-8")) == told
        and prompts.read_text(encoding="utf-8") == "".join(lines)
    )


def _show(seen: dict[str, Any], progress: Progress, phase: str) -> None:
    """Show the child's progress as the stage's own."""
    progress.update(seen["done"], total=seen["total"], phase=f"{phase}: {seen['phase']}")
