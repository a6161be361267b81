"""Train a reward model on preference pairs, and measure it on held-out ones.

    python -m training.pipeline.reward_model --run-dir DIR

Bradley-Terry, -log sigmoid(r_chosen - r_rejected - margin), by TRL's RewardTrainer on whole rankings
(`training.pipeline.grouped`): the policy with its head replaced by one number. The accuracy is that of the saved
checkpoint on pairs whose prompts it never saw, beside that of the reward models of earlier rounds on the same pairs:
the best of them all scores the candidates.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoModelForSequenceClassification
from trl import RewardConfig
from trl.trainer.reward_trainer import suppress_seqcls_warning

from sampling.engine.run_dir import main
from training.pipeline.accuracy import (
    Accuracy,
    AtStrength,
    accuracy_by_strength,
    accuracy_of,
    verdicts_by,
    verdicts_by_length,
)
from training.pipeline.arguments import adapter, loading, schedule_here, training_arguments
from training.pipeline.grouped.planning import make_plan
from training.pipeline.grouped.rankings import TokenPair
from training.pipeline.grouped.tokens import Tokenised, for_rewards
from training.pipeline.grouped.trainer import GroupedRewardTrainer
from training.pipeline.preferences import (
    Pair,
    Selection,
    among_held_out,
    read_pairs,
    refuse_too_few,
    select,
    select_held_out,
    write_left_out,
)
from training.pipeline.scoring import Scorer
from training.pipeline.trainers import (
    Stage,
    check_model_is_there,
    conversation_lengths,
    freeze_embeddings,
    is_main_process,
    load_tokenizer,
    without_dropout,
)
from training.recipe import RewardModel


@dataclass(frozen=True)
class Rival:
    """A reward model of an earlier round on this round's held-out pairs; null when it, or they, are not there."""

    location: str
    accuracy: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Measured:
    """What was found on the held-out pairs: the new reward model, who only looks at length, and the rivals."""

    accuracy: Accuracy | None
    by_strength: list[AtStrength]
    length_baseline: Accuracy | None
    rivals: list[Rival]


@dataclass(frozen=True)
class Result:
    """What goes into result.json; the accuracies are null when nothing was held out."""

    pairs_train: int
    pairs_eval: int
    prompts_eval: int  # what the intervals draw
    dropped: dict[str, int]
    dropped_eval: dict[str, int]
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    by_strength: list[AtStrength]
    length_baseline: Accuracy | None
    rivals: list[Rival]
    best: str  # the location of the most accurate one, which is to score candidates
    best_is_new: bool
    first_loss: float
    final_loss: float
    steps: int
    weights_changed: float
    resumed_at: int | None  # the step that it went on from, where an attempt before was stopped
    seconds: float


def run(run_dir: Path, *, section: type[RewardModel] = RewardModel) -> Result | None:
    """Train, save and measure; of several processes only the main one measures what it saved."""
    started = time.monotonic()
    stage = Stage.start(run_dir)
    recipe = section.parse(stage.told, source="stage.json")
    tokenizer = load_tokenizer(stage.inputs["policy"])
    tokenised, held_out = select_pairs(stage, recipe, tokenizer)
    train = tokenised.selection
    trained = stage.train(lambda: make_trainer(stage, recipe, tokenizer, tokenised.tokens), recipe)
    if not is_main_process():
        return None
    # A pair that trains is two texts, and both together need far more memory than what is read without gradients.
    texts = 2 * schedule_here(recipe, rows=len(train.pairs), stage=stage).micro_batch
    measured = measure(stage, held_out.pairs, micro_batch=texts)
    best = best_of(str(stage.checkpoint), measured)
    return Result(
        pairs_train=len(train.pairs),
        pairs_eval=len(held_out.pairs),
        prompts_eval=len({pair.prompt_id for pair in held_out.pairs}),
        dropped=train.dropped,
        dropped_eval=held_out.dropped,
        accuracy=measured.accuracy and measured.accuracy.accuracy,
        accuracy_low=measured.accuracy and measured.accuracy.low,
        accuracy_high=measured.accuracy and measured.accuracy.high,
        by_strength=measured.by_strength,
        length_baseline=measured.length_baseline,
        rivals=measured.rivals,
        best=best,
        best_is_new=best == str(stage.checkpoint),
        first_loss=trained.first_loss,
        final_loss=trained.final_loss,
        steps=trained.steps,
        weights_changed=trained.weights_changed,
        resumed_at=trained.resumed_at,
        seconds=time.monotonic() - started,
    )


def select_pairs(stage: Stage, recipe: RewardModel, tokenizer) -> tuple[Tokenised, Selection]:
    """The pairs to train on and the held-out ones; those left out are listed."""

    def lengths(conversations):
        return conversation_lengths(tokenizer, conversations)

    chosen = select(read_pairs(stage.inputs["pairs_train"]), recipe, lengths)
    tokenised = for_rewards(chosen, tokenizer, margins=recipe.margins)
    train = tokenised.selection
    held_out = select_held_out(read_pairs(stage.inputs["pairs_eval"]), recipe, lengths)
    write_left_out(stage.run_dir, recipe.stage, [*train.left_out, *among_held_out(held_out.left_out)])
    refuse_too_few(
        len(train.pairs),
        recipe.least_rows,
        what="pairs",
        stage=f"the {recipe.stage.replace('_', ' ')}",
        dropped=train.dropped,
        path=stage.inputs["pairs_train"],
    )
    return tokenised, held_out


def make_trainer(stage: Stage, recipe: RewardModel, tokenizer, pairs: Sequence[TokenPair]) -> GroupedRewardTrainer:
    """The trainer on these pairs."""
    path = stage.inputs["policy"]
    check_model_is_there(path)
    with suppress_seqcls_warning():  # the new head is missing from the policy's checkpoint: it should be
        model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, **loading(recipe))
    freeze_embeddings(model, recipe)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    planned = make_plan(
        without_dropout(model), pairs, of="rewards", stage=stage, recipe=recipe, pad_token_id=tokenizer.pad_token_id
    )
    config = RewardConfig(
        **training_arguments(recipe, rows=len(pairs), stage=stage, rankings=planned.settings["rankings"]),
        center_rewards_coefficient=recipe.center_rewards or None,
        disable_dropout=False,
    )
    return GroupedRewardTrainer(
        model=model,
        args=config,
        processing_class=tokenizer,
        peft_config=adapter(recipe, task="SEQ_CLS"),
        planned=planned,
    )


def measure(stage: Stage, pairs: Sequence[Pair], *, micro_batch: int) -> Measured:
    """Ask the new reward model, those of earlier rounds and a ruler, all on the same held-out pairs.

    ``micro_batch`` texts are read together.
    """
    verdicts = _verdicts(stage, stage.checkpoint, pairs, micro_batch, phase="measuring on held-out pairs")
    return Measured(
        accuracy=accuracy_of(pairs, verdicts, seed=stage.seed),
        by_strength=accuracy_by_strength(pairs, verdicts, seed=stage.seed),
        length_baseline=accuracy_of(pairs, verdicts_by_length(pairs), seed=stage.seed),
        rivals=[_rival(stage, location, pairs, micro_batch) for location in stage.inputs.get("rivals", [])],
    )


def best_of(new: str, measured: Measured) -> str:
    """The location of the most accurate reward model so far; of equally accurate ones, the newest."""
    best, highest = new, measured.accuracy.accuracy if measured.accuracy else None
    for rival in reversed(measured.rivals):  # they come the oldest first
        if highest is not None and rival.accuracy is not None and rival.accuracy > highest:
            best, highest = rival.location, rival.accuracy
    return best


def _rival(stage: Stage, location: str, pairs: Sequence[Pair], micro_batch: int) -> Rival:
    if not (Path(location) / "config.json").is_file():
        print(f"The reward model of an earlier round, {location}, is not there any more: it is not compared.")
        return Rival(location, None, None, None)
    phase = "measuring an earlier reward model on the same pairs"
    verdicts = _verdicts(stage, location, pairs, micro_batch, phase=phase)
    found = accuracy_of(pairs, verdicts, seed=stage.seed)
    return Rival(location, *((found.accuracy, found.low, found.high) if found else (None, None, None)))


def _verdicts(
    stage: Stage, location: Path | str, pairs: Sequence[Pair], micro_batch: int, *, phase: str
) -> list[float]:
    sides = [conversation for pair in pairs for conversation in pair.conversations]
    stage.say("loading")  # until the first are scored
    scores = Scorer(location, micro_batch=micro_batch, caches=stage.inputs.get("caches")).score(
        sides, on_progress=lambda done: stage.say(f"{phase}: {done} of {len(sides)} texts")
    )
    return verdicts_by(scores)


if __name__ == "__main__":
    main(run)
