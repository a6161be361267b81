"""The arithmetic of a training stage: how many steps, of how many rows, and how long the learning rate warms up.

No torch here, so that a check or a page can say it before anything is spent.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from sampling.engine.run_dir import RunDirError
from training.recipe import Training

# Rows in memory together where nobody looked at the machine; it changes no step.
USUAL_MICRO_BATCH = 8
FEW_STEPS = 10  # fewer, and what a stage learns depends on how it warms up


@dataclass(frozen=True)
class Schedule:
    """What a stage does with its rows; ``batch`` is exactly micro_batch x accumulation x processes."""

    steps: int
    steps_per_epoch: int
    warmup_steps: int
    batch: int  # rows an optimiser step, on all devices together
    micro_batch: int  # rows in memory together, on each device
    accumulation: int  # micro batches of one device that make one step


def schedule_of(
    recipe: Training, rows: int, processes: int = 1, *, micro_batch: int = 0, rankings: int | None = None
) -> Schedule:
    """The schedule of ``rows`` rows on ``processes`` devices.

    Pairs come in whole ``rankings``, of which a step has one at least: there are no more steps than rankings, and
    ``batch`` pairs are a step's mean.

    ``micro_batch`` is what one device's memory holds (`memory.micro_batch_of`), used where the recipe leaves it to the
    machine. It is lowered to the next divisor, because memory must never decide how many rows make a step.
    Raises `RunDirError` where no micro batch makes the batch exactly.
    """
    if rankings is None and recipe.batch % processes:
        raise RunDirError(
            f"The recipe asks for {recipe.batch} rows a step, which {processes} processes cannot share evenly. "
            f"Change batch to a multiple of {processes}, or start fewer processes."
        )
    share = max(1, recipe.batch // processes)
    micro_batch = largest_divisor(share, at_most=recipe.micro_batch or micro_batch or USUAL_MICRO_BATCH)
    steps_per_epoch = steps_of(rows, recipe.batch, rankings)
    steps = math.ceil(recipe.epochs * steps_per_epoch)  # as transformers counts a last epoch that is cut short
    return Schedule(
        steps=steps,
        steps_per_epoch=steps_per_epoch,
        warmup_steps=warmup_of(recipe, steps),
        batch=recipe.batch,
        micro_batch=micro_batch,
        accumulation=share // micro_batch,
    )


def steps_of(rows: int, batch: int, rankings: int | None = None) -> int:
    """Optimiser steps of an epoch."""
    steps = math.ceil(rows / batch)
    return steps if rankings is None else min(steps, rankings)


def warmup_of(recipe: Training, steps: int) -> int:
    """Llama 2's "3 % of the steps, at least 5" (arXiv 2307.09288, section 3.2.2).

    A run that is no longer than that would never reach its learning rate: there, and only there, nothing warms up. The
    first step of any warm-up has a learning rate of nought in transformers, and a run of two steps would learn nothing
    from half of its rows.
    """
    # As a fraction: in floating point 0.07 * 100 is above 7, and its ceiling 8.
    published = max(recipe.least_warmup_steps, math.ceil(Fraction(str(recipe.warmup_share)) * steps))
    return published if published < steps else 0


def warning_of(schedule: Schedule) -> str | None:
    """What whoever launches so short a stage should know; None where the stage is long enough."""
    if schedule.steps >= FEW_STEPS:
        return None
    steps = "one step" if schedule.steps == 1 else f"{schedule.steps} steps"
    warm_up = (
        f", of which {schedule.warmup_steps} warm up and the first one changes nothing"
        if schedule.warmup_steps
        else ", too few to warm up"
    )
    return f"{steps} in all{warm_up}. Collect more, lower batch or raise epochs in the recipe."


def largest_divisor(number: int, *, at_most: int) -> int:
    """The largest divisor of ``number`` that is at most ``at_most``."""
    return next(each for each in range(min(number, at_most), 0, -1) if number % each == 0)
