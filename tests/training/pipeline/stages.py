"""Every stage that trains, on tiny models: its run directory, its program, and what it leaves."""

import hashlib
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from tensorboardX.proto.event_pb2 import Event

from sampling.engine.run_dir import read_metrics, write_stage
from tests.training.pipeline.runs import pair, read_lines, write_lines
from training.pipeline import demonstrations, dpo, judge_model, reward_model, sft
from training.pipeline.grouped.tokens import Tokenised, for_log_probs, for_rewards
from training.pipeline.preferences import Selection, read_pairs
from training.recipe import SECTIONS, load

# The judge model's is the reward model's, told the other way round.
PROGRAMS: dict[str, ModuleType] = {
    "demonstrations": demonstrations,
    "sft": sft,
    "dpo": dpo,
    "reward_model": reward_model,
}
EVERY_PROGRAM = PROGRAMS | {"judge_model": judge_model}
# Stages that the smoke recipe leaves out are told what their like is told.
LIKE = {"demonstrations": "sft", "judge_model": "reward_model"}
# What differs between two runs that are the same.
OF_THE_MACHINE = ("memory_gb", "tokens_per_second")


def conversation(number: int) -> dict[str, Any]:
    """A row to fine-tune on, each of another length."""
    question = {"role": "user", "content": f"Question {number}?"}
    return {"prompt_id": str(number), "messages": [question, {"role": "assistant", "content": "yes " * (1 + number)}]}


def training_dir(path: Path, kind: str, policy: Path, *, rows: int = 12, **changes: Any) -> Path:
    """The run directory of a stage of six steps: twelve rows, four a step in two micro batches, two epochs."""
    path.mkdir(parents=True, exist_ok=True)
    recipe = {"batch": 4, "micro_batch": 2, "epochs": 2, "learning_rate": 1e-2, "least_rows": 2, "probes": 0} | changes
    if kind in ("sft", "demonstrations"):
        inputs: dict[str, Any] = {
            "policy": policy,
            "rows": write_lines(path / "rows.jsonl", [conversation(i) for i in range(rows)]),
        }
    else:
        pairs = [pair(i, chosen="yes " * (1 + i % 5)) for i in range(rows)]
        inputs = {"policy": policy, "pairs_train": write_lines(path / "pairs.jsonl", pairs)}
        if kind in ("reward_model", "judge_model"):
            inputs["pairs_eval"] = write_lines(path / "held_out.jsonl", [pair(100), pair(101)])
    smoke = load("smoke").resolved()
    told = smoke.get(kind) or {name: value for name, value in smoke[LIKE[kind]].items() if name != "start_from"}
    told |= recipe
    SECTIONS[kind].parse(told, source="the test")
    stage = {"recipe": told, "seed": 17, "inputs": {name: str(each) for name, each in inputs.items()}}
    write_stage(path / "run", stage | {"outputs_dir": "checkpoint", "trackers": []})
    return path / "run"


def tokenised(path: Path | str, tokenizer, *, margins: str | None = None, mask_end_tokens: bool = False) -> Tokenised:
    """All pairs of a file as a trainer is told them: for rewards where ``margins`` are given, else for DPO."""
    pairs = read_pairs(path)
    selection = Selection(pairs, [0] * len(pairs), [])
    if margins is not None:
        return for_rewards(selection, tokenizer, margins=margins)
    return for_log_probs(selection, tokenizer, mask_end_tokens=mask_end_tokens)


def loss_of_step(trainer) -> float:
    """The loss of a grouped trainer's first step, before any, without gradients."""
    step = trainer.planned.item(0)
    with torch.no_grad():
        parts = [trainer.compute_loss(trainer.model, {"part": part, "of_step": step}).item() for part in step.parts]
    return sum(parts)


def curve(run_dir: Path) -> list[dict[str, Any]]:
    """The metrics, without what depends on how busy the machine is."""
    return [{name: row[name] for name in row if name not in OF_THE_MACHINE} for row in read_metrics(run_dir)]


def weights_hash(run_dir: Path) -> str:
    return hashlib.sha256((run_dir / "checkpoint" / "model.safetensors").read_bytes()).hexdigest()


def events_in(path: Path) -> list[Event]:
    """What a TensorBoard file holds, as its format says: each event's length, a check, the event, a check."""
    found, content, start = [], path.read_bytes(), 0
    while start < len(content):
        length = int.from_bytes(content[start : start + 8], "little")
        found.append(Event.FromString(content[start + 12 : start + 12 + length]))
        start += 12 + length + 4
    return found


def probes(run_dir: Path) -> list[dict[str, Any]]:
    return read_lines(run_dir / "probes.jsonl")
