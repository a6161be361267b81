"""What a round starts from, made small: a policy's directory and a frozen snapshot."""

import hashlib
import json
import struct
import sys
import uuid
from pathlib import Path

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import DatasetSnapshot, JudgeKind
from sampling.actions import register_model
from sampling.models import ModelVersion, Prompt, PromptSet, Split
from tests.annotation.judged import judge, make_comparison, make_project
from training.actions import launch_round
from training.models import DemonstrationSet, StageKind

RECIPE = str(Path(__file__).parent / "all_stages.toml")
# The stages of that recipe in the order in which a round runs them.
ALL_STAGES = [kind.value for kind in StageKind if kind != StageKind.DEMONSTRATIONS]
FAKE_STAGE = Path(__file__).parent / "fake_stage.py"


def make_policy(directory: Path, name: str = "base") -> ModelVersion:
    """A version whose directory looks like a checkpoint and is none."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (directory / "model.safetensors").write_bytes(weights(name))
    return register_model(name=name, location=str(directory))


def weights(name: str) -> bytes:
    """A safetensors file of one tensor of 1,000 by 20 numbers, and no numbers."""
    header = json.dumps({"__metadata__": {"name": name}, "w": {"dtype": "BF16", "shape": [1000, 20]}}).encode()
    return struct.pack("<Q", len(header)) + header


def make_snapshot(name: str = "june", *, train: int = 16, held_out: int = 4) -> DatasetSnapshot:
    """One pair a comparison: ``train`` of them to learn from, ``held_out`` eval ones, and an unjudged eval prompt."""
    project = make_project(f"Project of {name}")
    for number in range(train + held_out):
        split = Split.TRAIN if number < train else Split.EVAL
        comparison = make_comparison(
            project, [f"Good {number}.", f"Bad {number}."], question=f"Question {number}?", split=split
        )
        judge(comparison, "sim-brief", [[0], [1]], kind=JudgeKind.SIMULATED)
    make_prompt("Unjudged?", split=Split.EVAL)
    return freeze_snapshot(project=project, name=name, kinds=[JudgeKind.SIMULATED])


def make_prompt(question: str, *, split: str, prompt_set: str = "Questions", content_hash: str = "") -> Prompt:
    return Prompt.objects.create(
        prompt_set=PromptSet.objects.get_or_create(name=prompt_set)[0],
        split=split,
        messages=[{"role": "user", "content": question}],
        content_hash=content_hash or uuid.uuid4().hex,
    )


def make_demonstrations(path: Path, *questions: str, name: str = "Conversations") -> DemonstrationSet:
    """A set of one conversation of one turn for each question."""
    rows = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "Like this."}]}
        for question in questions
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return DemonstrationSet.objects.create(
        name=name, location=str(path), content_hash=hashlib.sha256(path.read_bytes()).hexdigest(), rows=len(rows)
    )


def fake_program(kind: str, run_dir: Path, *, has_gpu: bool) -> list[str]:
    """Stands in for round_plan.program_of."""
    return [sys.executable, str(FAKE_STAGE), str(kind), "--run-dir", str(run_dir)]


def order(round, **behaviour: str) -> None:
    """Tell the fake stages how to behave: order(round, sft="fail")."""
    round.run_dir.mkdir(parents=True, exist_ok=True)
    (round.run_dir / "behaviour.json").write_text(json.dumps(behaviour))


def told(round, name: str) -> list[str]:
    """The stages that began ("started") or ended well ("ended"), in order."""
    path = round.run_dir / f"{name}.txt"
    return path.read_text().split() if path.exists() else []


def launch_for_tests(name: str, policy: ModelVersion, snapshot: DatasetSnapshot):
    """A queued round of all stages that no worker was told about."""
    return launch_round(name=name, base_policy=policy, snapshot=snapshot, recipe=RECIPE, enqueue=False)
