"""What a stage says of itself while it trains: progress, and one row of metrics for each step."""

import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import TrainerCallback

from sampling.engine.run_dir import RunDirError, append_metrics

if TYPE_CHECKING:
    from training.pipeline.trainers import Stage

NOT_METRICS = ("epoch", "total_flos", "num_input_tokens_seen")


class Reporter(TrainerCallback):
    """Writes progress and metrics while a trainer runs, and keeps the losses.

    It puts its own figures into the logs too, so whatever comes after it (TensorBoard, a tracker) has them. ``tokens``
    went through the model before, where a stage goes on.
    """

    def __init__(self, stage: "Stage", *, tokens: int = 0) -> None:
        self.stage = stage
        self.found: dict[str, float] = {}  # by probes, since the last row
        self.tokens = tokens
        self.seconds = 0.0
        self.began_at: float | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            self.stage.progress.begun_at = state.global_step
            self.stage.progress.update(state.global_step, total=state.max_steps, phase="training")

    def on_step_begin(self, args, state, control, **kwargs):
        self.began_at = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        # Probes and checkpoints come after this: a step's rate is that of the step.
        self.seconds = time.monotonic() - self.began_at if self.began_at is not None else 0.0
        if state.is_world_process_zero:
            self.stage.progress.update(state.global_step)

    def on_log(self, args, state, control, logs=None, **kwargs):
        # The last log repeats the final step with the run time in it.
        if not logs or "train_runtime" in logs:
            return
        logs |= self._own_figures(logs)
        values = {name: float(value) for name, value in logs.items() if name not in NOT_METRICS}
        self.stage.losses.append(values["loss"])
        if state.is_world_process_zero:
            append_metrics(self.stage.run_dir, step=state.global_step, **values)
        if not math.isfinite(values["loss"]):
            raise RunDirError(
                f"The loss of step {state.global_step} is not a number: the training has diverged, and every step "
                "after it would be lost. Lower learning_rate or max_grad_norm, or raise warmup_share, in the recipe."
            )

    def _own_figures(self, logs: dict[str, float]) -> dict[str, float]:
        figures = {"memory_gb": memory_gb(), **self.found}
        # All trainers log how many tokens went through the model so far, on all processes: the step's are the new ones.
        tokens = int(logs.get("num_tokens", self.tokens))
        if tokens > self.tokens and self.seconds:
            figures["tokens_per_second"] = (tokens - self.tokens) / self.seconds
        self.tokens = tokens
        self.found = {}
        return figures


def memory_gb() -> float:
    """What the program holds: on a GPU the most that its tensors took there, else its resident memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    resident_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])  # proc(5)
    return resident_pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def final_loss(losses: Sequence[float]) -> float:
    """The mean over the last fifth of the steps: a single batch's loss says little."""
    last = losses[-max(1, len(losses) // 5) :]
    return sum(last) / len(last)
