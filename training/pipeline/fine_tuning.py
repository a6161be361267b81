"""What both kinds of SFT do alike; they differ in which tokens of a conversation the loss is on."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from trl import SFTTrainer

from training.pipeline.arguments import order_of
from training.pipeline.conversations import read_conversations, usable
from training.pipeline.left_out import write_left_out
from training.pipeline.preferences import Lengths, Messages, refuse_too_few
from training.pipeline.trainers import Stage
from training.recipe import Training


@dataclass(frozen=True)
class Result:
    """What goes into result.json."""

    rows: int
    dropped: dict[str, int]
    first_loss: float
    final_loss: float
    steps: int
    weights_changed: float
    resumed_at: int | None  # the step that it went on from, where an attempt before was stopped
    seconds: float


def fine_tune(
    stage: Stage,
    recipe: Training,
    *,
    name: str,
    lengths_of: Lengths,
    make_trainer: Callable[[list[Messages]], SFTTrainer],
) -> Result:
    """Train on the stage's rows that can be used, and save. ``name`` is what people call the stage."""
    started = time.monotonic()
    found = usable(read_conversations(stage.inputs["rows"]), recipe.max_length, lengths_of)
    write_left_out(stage.run_dir, recipe.stage, found.left_out)
    rows = [each.messages for each in found.conversations]
    refuse_too_few(
        len(rows), recipe.least_rows, what="rows", stage=name, dropped=found.dropped, path=stage.inputs["rows"]
    )
    order = order_of(recipe, found.lengths, stage=stage)
    trained = stage.train(lambda: make_trainer([rows[i] for i in order]), recipe, prompts=[row[:-1] for row in rows])
    return Result(
        rows=len(rows),
        dropped=found.dropped,
        first_loss=trained.first_loss,
        final_loss=trained.final_loss,
        steps=trained.steps,
        weights_changed=trained.weights_changed,
        resumed_at=trained.resumed_at,
        seconds=time.monotonic() - started,
    )
