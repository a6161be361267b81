"""Fine-tune the policy on the completions that rejection sampling kept.

    python -m training.pipeline.sft --run-dir DIR

TRL's SFTTrainer. The loss is on the last assistant turn alone, the kept completion: rows are given as
prompt and completion, so any chat template will do, with or without generation markers. Earlier assistant
turns belong to the prompt: nobody judged them. Left out: packing, which pays only for long runs of short
rows.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from sampling.engine.run_dir import RunDirError, main
from training.pipeline.arguments import adapter, training_arguments
from training.pipeline.batching import order_by_length
from training.pipeline.preferences import Messages, read_rows, refuse_too_few
from training.pipeline.trainers import (
    Reporter,
    Stage,
    WeightWatch,
    conversation_lengths,
    final_loss,
    load_policy,
    load_tokenizer,
    save_checkpoint,
)
from training.recipe import Sft


@dataclass(frozen=True)
class Result:
    """What goes into result.json."""

    rows: int
    dropped: dict[str, int]
    first_loss: float
    final_loss: float
    steps: int
    weights_changed: float
    seconds: float


def run(run_dir: Path) -> Result:
    """Train and save."""
    started = time.monotonic()
    stage = Stage.start(run_dir)
    recipe = Sft.parse(stage.told, source="stage.json")
    tokenizer = load_tokenizer(stage.inputs["policy"])
    rows = [_messages(row, f"{stage.inputs['rows']}, line {n}") for n, row in read_rows(stage.inputs["rows"])]
    rows, lengths, dropped = usable(rows, recipe.max_length, lambda each: conversation_lengths(tokenizer, each))
    refuse_too_few(len(rows), recipe.least_rows, what="rows", stage="SFT", dropped=dropped, path=stage.inputs["rows"])
    order = order_by_length(lengths, batch=recipe.micro_batch, seed=stage.seed)
    trainer = make_trainer(stage, recipe, tokenizer, [rows[i] for i in order])
    watch = WeightWatch(trainer.model)
    trainer.train()
    moved = save_checkpoint(trainer, stage, watch)
    return Result(
        rows=len(rows),
        dropped=dropped,
        first_loss=stage.losses[0],
        final_loss=final_loss(stage.losses),
        steps=trainer.state.global_step,
        weights_changed=moved,
        seconds=time.monotonic() - started,
    )


def make_trainer(stage: Stage, recipe: Sft, tokenizer, rows: list[Messages]) -> SFTTrainer:
    """TRL's trainer on these conversations, in this order."""
    config = SFTConfig(**training_arguments(recipe, rows=len(rows), stage=stage), completion_only_loss=True)
    return SFTTrainer(
        model=load_policy(stage.inputs["policy"], recipe),
        args=config,
        train_dataset=Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in rows]),
        processing_class=tokenizer,
        peft_config=adapter(recipe, task="CAUSAL_LM"),
        callbacks=[Reporter(stage)],
    )


def usable(rows: list[Messages], max_length: int, lengths_of) -> tuple[list[Messages], list[int], dict[str, int]]:
    """The rows that are trained on, their lengths, and the number of the others by reason."""
    full = [row for row in rows if row[-1]["content"].strip()]
    lengths = lengths_of(full)
    fitting = [i for i, length in enumerate(lengths) if length <= max_length]
    dropped = {"empty": len(rows) - len(full), "too_long": len(full) - len(fitting)}
    counted = {reason: number for reason, number in dropped.items() if number}
    return [full[i] for i in fitting], [lengths[i] for i in fitting], counted


def _messages(row: dict, where: str) -> Messages:
    messages = row.get("messages")
    if not messages or len(messages) < 2 or messages[-1].get("role") != "assistant":
        raise RunDirError(f'{where}: "messages" must be a conversation that ends with the assistant.')
    return messages


if __name__ == "__main__":
    main(run)
