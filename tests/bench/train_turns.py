"""How a contender of `tests.bench.train` takes its turns: a step waits until it is told to, and tells what it took."""

import contextlib
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import Trainer, TrainerCallback

from tests.bench import train_flops


class Turns(TrainerCallback):
    """Has each step wait, and tells what it took."""

    def __init__(self, pipe: Connection, trainer: Trainer, *, gradients: Path | None) -> None:
        self.pipe, self.gradients = pipe, gradients
        self.seen: dict[str, Any] = {}
        self.size = train_flops.size_of(trainer.model)
        if hasattr(trainer, "rows"):  # ours
            trainer.rows = self._counting_rows(trainer.rows)
        else:
            trainer.compute_loss = self._counting_batches(trainer.compute_loss)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.pipe.recv()
        self.seen = {"tokens": 0, "positions": 0, "flops": 0.0}
        self.began, self.cpu_began = now(), time.process_time()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if self.gradients and state.global_step == state.max_steps - 1:
            gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
            save_file({name: each.float().cpu().contiguous() for name, each in gradients.items()}, self.gradients)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seen["seconds"] = now() - self.began
        self.seen["cpu_seconds"] = time.process_time() - self.cpu_began

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "loss" in (logs or {}):  # the last one is a summary
            self.pipe.send(self.seen | {"loss": logs["loss"]})

    def _counting_rows(self, rows: Any) -> Any:
        def counted(part: Any) -> Any:
            made = rows(part)
            lengths = [len(each.prompt) + len(one) for each in part.rankings for one in each.completions]
            self._count(made.tokens, made.positions, lengths)
            return made

        return counted

    def _counting_batches(self, compute_loss: Any) -> Any:
        def counted(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            lengths = inputs["attention_mask"].sum(1).tolist()
            self._count(sum(lengths), inputs["input_ids"].numel(), lengths)
            return compute_loss(model, inputs, *args, **kwargs)

        return counted

    def _count(self, tokens: int, positions: int, lengths: list[int]) -> None:
        self.seen["tokens"] += tokens
        self.seen["positions"] += positions
        self.seen["flops"] += train_flops.of_step(self.size, tokens=tokens, lengths=lengths)


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_bytes() -> int:
    """The most memory that was held at once: on a GPU what torch took of it, else this process's resident set."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return _status("VmHWM")


def resident_bytes() -> int:
    """What this process holds now."""
    return _status("VmRSS")


def _status(name: str) -> int:
    """A line of /proc/self/status (proc(5)), in bytes; 0 where there is none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
