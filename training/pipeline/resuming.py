"""Going on in the middle of a stage: its checkpoints, which of them may be used, and the proof that it was.

A checkpoint is transformers' own (weights or adapters, optimiser, schedule, random numbers), with a file of ours in it
that is written last: what the stage was told, what its inputs held, and the size of every file. One without it, or
with a file of another size, was torn by a crash and is passed over. Nothing pickled is ever loaded: `training_args.bin`
is removed, and transformers reads the rest with ``weights_only``.

The trap that the two checks at the end are for: an adapter that TRL silently puts back to its start, as it does when
DPO continues a PeftModel. Ours are made afresh and merged at the end of a stage, and loading into them works; should
another release change that, a stage fails instead of training from zero.
"""

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import TrainerCallback

from sampling.engine.run_dir import METRICS, RunDirError, read_json_lines, write_json

TRAINER = "trainer"
MARK = "whetstone.json"
PICKLED = "training_args.bin"
PROBES = "probes.jsonl"
# They decide what the numbers of a checkpoint mean and how a step is computed.
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")
CPU_TOLERANCE = 1e-4  # the same machine computes the same loss; what is logged is rounded
GPU_TOLERANCE = 0.02  # CUDA kernels add in any order


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint that this stage may go on from."""

    path: Path
    step: int
    micro_batch: int  # the batches of the data's order; another size would be another order


def identity_of(told: dict[str, Any], code: dict[str, Any]) -> dict[str, Any]:
    """What must be the same for a checkpoint to be gone on from. ``told`` is `stage.json`, ``code`` what runs it."""
    inputs = told.get("inputs", {})
    read = {name: _content(Path(value)) for name, value in inputs.items() if isinstance(value, str)}
    return {
        "told": {name: value for name, value in told.items() if name != "trackers"},
        "inputs": {name: content for name, content in read.items() if content},
        # Another release may choose or order the rows otherwise, and so make other batches of the same data.
        "code": [code.get("version"), code.get("commit")],
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def newest(run_dir: Path, identity: dict[str, Any], *, tidy: bool = True) -> Checkpoint | None:
    """The newest whole checkpoint of the same stage; if ``tidy`` all others are removed, and the log says why."""
    found = sorted(((_step(path), path) for path in (run_dir / TRAINER).glob("checkpoint-*")), reverse=True)
    chosen: Checkpoint | None = None
    for step, path in found:
        mark = _mark_of(path)
        if chosen is None and mark is not None and mark["identity"] == identity:
            chosen = Checkpoint(path, step, mark["micro_batch"])
            continue
        if not tidy:
            continue
        if mark is None:
            print(f"{path.name} is not whole: it was being written when the program ended. It is passed over.")
        elif chosen is None:
            print(f"{path.name} is of a stage that was told something else, or read other inputs. It is removed.")
        shutil.rmtree(path)
    return chosen


def cut_back(run_dir: Path, step: int) -> None:
    """Take what was logged of the steps after ``step`` out of the curve and the probes: these steps come again."""
    for name in (METRICS, PROBES):
        _write_lines(run_dir / name, [row for row in read_json_lines(run_dir / name) if row["step"] <= step])


class Checkpoints(TrainerCallback):
    """Asks for a checkpoint every so many minutes and steps, and makes it whole; only the newest is kept."""

    def __init__(self, *, identity: dict[str, Any], minutes: float, steps: int, say: Any) -> None:
        self.identity = identity
        self.seconds = 60 * minutes
        self.steps = steps
        self.say = say  # (phase) -> None
        self.saved_at = time.monotonic()

    def on_train_begin(self, args, state, control, **kwargs):
        self.saved_at = time.monotonic()

    def on_step_end(self, args, state, control, model=None, **kwargs):
        # After the last step the stage saves what it made.
        if state.global_step == state.max_steps or not self._is_due(state.global_step):
            return
        Path(args.output_dir).mkdir(exist_ok=True)
        if (free := shutil.disk_usage(args.output_dir).free) < (needed := bytes_of_checkpoint(model)):
            # What should make a crash cheap must not be what ends the stage.
            print(f"No checkpoint at step {state.global_step}: it takes {needed:,} bytes, and {free:,} are free.")
            self.saved_at = time.monotonic()
            return
        self.say("saving a checkpoint")
        control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            make_whole(path, identity=self.identity, micro_batch=args.per_device_train_batch_size)
        self.saved_at = time.monotonic()
        self.say("training")

    def _is_due(self, step: int) -> bool:
        by_clock = self.seconds > 0 and time.monotonic() - self.saved_at >= self.seconds
        due = by_clock or (self.steps > 0 and step % self.steps == 0)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            told = [due]  # clocks differ between processes, and all of them take part in saving
            torch.distributed.broadcast_object_list(told, src=0)
            due = told[0]
        return due


def bytes_of_checkpoint(model: torch.nn.Module) -> int:
    """The most that a checkpoint takes: what is saved of the model, and two numbers for each one that trains."""
    trained = sum(weight.numel() * weight.element_size() for weight in model.parameters() if weight.requires_grad)
    if isinstance(model, PeftModel):
        return 3 * trained
    return 2 * trained + sum(weight.numel() * weight.element_size() for weight in model.parameters())


def make_whole(path: Path, *, identity: dict[str, Any], micro_batch: int) -> None:
    """Mark a checkpoint as whole once it is on the disk, and remove the older ones."""
    (path / PICKLED).unlink(missing_ok=True)
    flush(path)
    sizes = {each.name: each.stat().st_size for each in path.iterdir() if each.is_file()}
    write_json(path / MARK, {"identity": identity, "sizes": sizes, "micro_batch": micro_batch})
    for other in path.parent.glob("checkpoint-*"):
        if other != path:
            shutil.rmtree(other)


def flush(directory: Path) -> None:
    """Have the disk hold every file of a directory before anything relies on it."""
    for path in [*directory.iterdir(), directory]:
        if path.is_file() or path == directory:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


class Continuity(TrainerCallback):
    """Refuses to go on where a resumed stage is not what it was: by its weights, and by its first loss."""

    def __init__(self, checkpoint: Checkpoint, *, expected: dict[int, float]) -> None:
        self.checkpoint = checkpoint
        self.expected = expected  # step -> the loss that the interrupted attempt logged beyond its checkpoint

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if state.global_step != self.checkpoint.step or not holds(model, self.checkpoint.path):
            self._refuse(f"after loading {self.checkpoint.path.name} the model does not hold its weights")

    def on_log(self, args, state, control, logs=None, **kwargs):
        before, now = self.expected.pop(state.global_step, None), (logs or {}).get("loss")
        if before is None or now is None:
            return
        tolerance = GPU_TOLERANCE if torch.cuda.is_available() else CPU_TOLERANCE
        if abs(float(now) - before) > tolerance * max(1.0, abs(before)):
            self._refuse(f"step {state.global_step} has a loss of {float(now):.4f} and had one of {before:.4f} before")

    def _refuse(self, why: str) -> None:
        shutil.rmtree(self.checkpoint.path.parent, ignore_errors=True)
        raise RunDirError(
            f"The stage was to go on from step {self.checkpoint.step}, but {why}. The checkpoint was removed: start "
            "the stage again, and it begins from its start."
        )


def holds(model: torch.nn.Module, checkpoint: Path) -> bool:
    """Whether a model's weights, or its adapters', are those of a checkpoint."""
    has_adapters = isinstance(model, PeftModel)
    weights = get_peft_model_state_dict(model) if has_adapters else model.state_dict()
    pattern = "adapter_model*.safetensors" if has_adapters else "model*.safetensors"
    compared = 0
    for path in checkpoint.glob(pattern):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - no dictionary
                stored = file.get_tensor(name)
                if name not in weights or not torch.equal(weights[name].cpu().to(stored.dtype), stored):
                    return False
                compared += 1
    return compared > 0


def read_mark(path: Path) -> dict[str, Any] | None:
    """A JSON object that was written last of all, to say that something is whole; None while there is none."""
    try:
        mark = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return mark if isinstance(mark, dict) and "identity" in mark else None


def _mark_of(path: Path) -> dict[str, Any] | None:
    """What the checkpoint says of itself; None unless every file is as long as it was."""
    mark = read_mark(path / MARK)
    if mark is None:
        return None
    there = {each.name: each.stat().st_size for each in path.iterdir()}
    return mark if all(there.get(name) == size for name, size in mark["sizes"].items()) else None


def _step(path: Path) -> int:
    number = path.name.removeprefix("checkpoint-")
    return int(number) if number.isdigit() else -1


def _content(path: Path) -> Any:
    """What tells one content of an input from another: a hash, or for a model, which is large, its files' times."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if (path / "config.json").is_file():
        files = ((each.name, each.stat()) for each in sorted(path.iterdir()) if each.is_file())
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in files]
    return None  # a model hub's id, or a directory of caches


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    temporary.replace(path)
