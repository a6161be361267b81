"""Going on in the middle of a stage: its checkpoints, which of them may be used, and the proof that it was.

A checkpoint is transformers' own (weights or adapters, optimiser, schedule, random numbers), with a file of ours in it
that is written last: what the stage was told, what its inputs held, and the size of every file. One without it, or
with a file of another size, was torn by a crash and is passed over. Nothing pickled is ever loaded: `training_args.bin`
is removed, and transformers reads the rest with ``weights_only``.

The trap that the two checks at the end are for: an adapter that TRL silently puts back to its start, as it does when
DPO continues a PeftModel. Ours are made afresh and merged at the end of a stage, and loading into them works; should
another release change that, a stage fails instead of training from zero. A first loss that is another one, with the
right weights, is this machine computing otherwise than before: the stage begins anew.
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
from transformers import Trainer, TrainerCallback

from sampling.engine.run_dir import METRICS, RunDirError, read_json_lines, write_json, write_json_lines
from training.pipeline import provenance
from training.pipeline.arguments import can_bf16
from training.pipeline.provenance import PROJECT

TRAINER = "trainer"
MARK = "whetstone.json"
PICKLED = "training_args.bin"
PROBES = "probes.jsonl"
# They decide what the numbers of a checkpoint mean and how a step is computed.
SOURCES = ("training/pipeline", "training/recipe")
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")
CPU_TOLERANCE = 1e-4  # the same machine computes the same loss; what is logged is rounded
GPU_TOLERANCE = 0.02  # CUDA kernels add in any order


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint that this stage may go on from."""

    path: Path
    step: int
    micro_batch: int  # rows or tokens in memory together; otherwise put together, sums round otherwise


class BeginAnew(Exception):
    """What a stage began with is not what it was to be; it can put that right itself, from its start."""


def identity_of(told: dict[str, Any], code: dict[str, Any]) -> dict[str, Any]:
    """What must be the same for a checkpoint to be gone on from. ``told`` is `stage.json`, ``code`` what runs it."""
    inputs = told.get("inputs", {})
    read = {name: _content(Path(value)) for name, value in inputs.items() if isinstance(value, str)}
    return {
        "told": {name: value for name, value in told.items() if name != "trackers"},
        "inputs": {name: content for name, content in read.items() if content},
        # Other code may choose or order the rows otherwise, and so make other batches of the same data. That a tree is
        # dirty does not say with what: the files themselves do.
        "code": [code.get("version"), code.get("commit"), _sources()],
        "libraries": library_versions(),
        # What "auto" comes to as a precision, and who computes: either rounds otherwise.
        "device": [device(), can_bf16()],
    }


def library_versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in LIBRARIES}


def device() -> str:
    """What computes, by its maker's name for it."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else provenance.processor()


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
        path = run_dir / name
        if rows := [row for row in read_json_lines(path) if row["step"] <= step]:
            write_json_lines(path, rows)
        else:  # whoever writes it next sees that nothing was said yet
            path.unlink(missing_ok=True)


class Checkpoints(TrainerCallback):
    """Asks for a checkpoint every so many minutes and steps, and makes it whole; only the newest is kept."""

    def __init__(self, *, identity: dict[str, Any], together: int, minutes: float, steps: int, say: Any) -> None:
        self.identity = identity
        self.together = together
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
            make_whole(path, identity=self.identity, micro_batch=self.together)
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


def together(trainer: Trainer) -> int:
    """How much is in memory at once: rows, or tokens where the trainer counts those."""
    return getattr(trainer, "tokens_together", trainer.args.per_device_train_batch_size)


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


def let_others_read(directory: Path) -> None:
    """Give every file the rights that a new one has here: safetensors writes weights that only their owner may read."""
    template = directory / ".rights"
    template.touch()
    rights = template.stat().st_mode & 0o777
    template.unlink()
    for path in directory.iterdir():
        path.chmod(rights)


class Continuity(TrainerCallback):
    """Sees that a resumed stage is what it was: its weights, else it fails, and its first loss, else it begins anew."""

    def __init__(self, checkpoint: Checkpoint, *, expected: dict[int, float]) -> None:
        self.checkpoint = checkpoint
        self.expected = expected  # step -> the loss that the interrupted attempt logged beyond its checkpoint

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if state.global_step != self.checkpoint.step or not holds(model, self.checkpoint.path):
            shutil.rmtree(self.checkpoint.path.parent, ignore_errors=True)
            raise RunDirError(
                f"The stage was to go on from step {self.checkpoint.step}, but after loading "
                f"{self.checkpoint.path.name} the model does not hold its weights. The checkpoint was removed: start "
                "the stage again, and it begins from its start."
            )

    def on_log(self, args, state, control, logs=None, **kwargs):
        # The first step alone: what rounds otherwise has grown by the next ones, and says nothing of the checkpoint.
        step, now = state.global_step, (logs or {}).get("loss")
        before = self.expected.get(step)
        if step != self.checkpoint.step + 1 or before is None or now is None:
            return
        tolerance = GPU_TOLERANCE if torch.cuda.is_available() else CPU_TOLERANCE
        if abs(float(now) - before) > tolerance * max(1.0, abs(before)):
            raise BeginAnew(
                f"The stage went on from step {self.checkpoint.step}, but step {step} has a loss of {float(now):.4f} "
                f"and had one of {before:.4f} before."
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


def _sources() -> str:
    """What trains, as it is here, with changes that no commit has."""
    digest = hashlib.sha256()
    for path in sorted(each for folder in SOURCES for each in (PROJECT / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


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
