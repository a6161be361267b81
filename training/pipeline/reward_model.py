"""Train a reward model on preference pairs, and measure it on held-out ones.

    python -m training.pipeline.reward_model --run-dir DIR

Bradley-Terry, -log sigmoid(r_chosen - r_rejected - margin), by TRL's RewardTrainer: the policy with its
head replaced by one number. The accuracy is that of the saved checkpoint on pairs whose prompts it never
saw. Left out: grouping all pairs of a prompt into one row, which TRL does not do.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForSequenceClassification
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import suppress_seqcls_warning

from sampling.engine.run_dir import main
from training.pipeline.arguments import adapter, training_arguments, working_dtype
from training.pipeline.batching import order_by_length
from training.pipeline.intervals import wilson
from training.pipeline.preferences import Pair, read_pairs, refuse_too_few, select, select_held_out
from training.pipeline.scoring import Scorer
from training.pipeline.trainers import (
    Reporter,
    Stage,
    WeightWatch,
    check_model_is_there,
    conversation_lengths,
    final_loss,
    freeze_embeddings,
    load_tokenizer,
    save_checkpoint,
)
from training.recipe import RewardModel


@dataclass(frozen=True)
class Result:
    """What goes into result.json; the accuracy is null when nothing was held out."""

    pairs_train: int
    pairs_eval: int
    dropped: dict[str, int]
    dropped_eval: dict[str, int]
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    first_loss: float
    final_loss: float
    steps: int
    weights_changed: float
    seconds: float


def run(run_dir: Path) -> Result:
    """Train, save and measure."""
    started = time.monotonic()
    stage = Stage.start(run_dir)
    recipe = RewardModel.parse(stage.told, source="stage.json")
    tokenizer = load_tokenizer(stage.inputs["policy"])

    def lengths(conversations):
        return conversation_lengths(tokenizer, conversations)

    train = select(read_pairs(stage.inputs["pairs_train"]), recipe, lengths)
    refuse_too_few(
        len(train.pairs),
        recipe.least_rows,
        what="pairs",
        stage="the reward model",
        dropped=train.dropped,
        path=stage.inputs["pairs_train"],
    )
    held_out = select_held_out(read_pairs(stage.inputs["pairs_eval"]), recipe.max_length, lengths)
    order = order_by_length(train.lengths, batch=recipe.micro_batch, seed=stage.seed)
    trainer = make_trainer(stage, recipe, tokenizer, [train.pairs[i] for i in order])
    watch = WeightWatch(trainer.model)
    trainer.train()
    moved = save_checkpoint(trainer, stage, watch)
    steps = trainer.state.global_step
    del trainer
    stage.say("measuring on held-out pairs")
    right = count_right(Scorer(stage.checkpoint), held_out.pairs)
    accuracy = wilson(right, len(held_out.pairs))
    return Result(
        pairs_train=len(train.pairs),
        pairs_eval=len(held_out.pairs),
        dropped=train.dropped,
        dropped_eval=held_out.dropped,
        accuracy=accuracy and accuracy.value,
        accuracy_low=accuracy and accuracy.low,
        accuracy_high=accuracy and accuracy.high,
        first_loss=stage.losses[0],
        final_loss=final_loss(stage.losses),
        steps=steps,
        weights_changed=moved,
        seconds=time.monotonic() - started,
    )


def make_trainer(stage: Stage, recipe: RewardModel, tokenizer, pairs: list[Pair]) -> RewardTrainer:
    """TRL's trainer on these pairs, in this order."""
    path = stage.inputs["policy"]
    check_model_is_there(path)
    with suppress_seqcls_warning():  # the new head is missing from the policy's checkpoint: it should be
        model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, dtype=working_dtype(recipe))
    freeze_embeddings(model, recipe)
    config = RewardConfig(
        **training_arguments(recipe, rows=len(pairs), stage=stage),
        center_rewards_coefficient=recipe.center_rewards or None,
    )
    return RewardTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list([as_row(pair, margins=recipe.margins != "none") for pair in pairs]),
        processing_class=tokenizer,
        peft_config=adapter(recipe, task="SEQ_CLS"),
        callbacks=[Reporter(stage)],
    )


def as_row(pair: Pair, *, margins: bool) -> dict:
    """RewardTrainer subtracts the column "margin" from the difference of the rewards when there is one."""
    return pair.as_row() | ({"margin": pair.margin} if margins else {})


def count_right(scorer: Scorer, pairs: list[Pair]) -> int:
    """How many pairs have their chosen side scored higher; equal scores are not right."""
    sides = [conversation for pair in pairs for conversation in pair.conversations]
    # K completions of a prompt make up to K(K-1) sides: each text is scored once.
    distinct = list({repr(side): side for side in sides}.values())
    scores = dict(zip(map(repr, distinct), scorer.score(distinct), strict=True))
    values = [scores[repr(side)] for side in sides]
    return sum(chosen > rejected for chosen, rejected in zip(values[::2], values[1::2], strict=True))


if __name__ == "__main__":
    main(run)
