"""What stands in the way of a round, in words for whom it concerns: each check gives a message, or None.

Only what rows and sizes of files tell at once. What takes reading the data (lengths, templates, memory) is the check's
(`training.pipeline.check`), whose findings are in `checking`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.datasets.withdrawn import withdrawn_in
from annotation.models import DatasetSnapshot
from sampling import checkpoints
from sampling.long_tasks import TaskState
from sampling.models import ModelRole, ModelVersion
from training import recipe as recipes
from training.launching.asked import BLANK, Asked, schedule_named
from training.launching.disk import disk_for
from training.launching.snapshot_pairs import held_out_pairs, judged_by, others_in_words, train_pairs
from training.models import DemonstrationSet, Stage, StageKind, StageState, TrainingRound
from training.running import round_plan

MAX_NAME = 100  # room for "-demonstrations" in the names of the model versions
# What vLLM serves a model under, what an address and a folder can hold. Rounds of before keep the names that they have.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PAIR_STAGES = (StageKind.REWARD_MODEL, StageKind.JUDGE_MODEL, StageKind.DPO)


@dataclass(frozen=True)
class Examined:
    """What was asked for, understood as far as it can be."""

    schedule: recipes.Recipe | None  # of all rounds
    recipe: recipes.Recipe | None  # of this round
    problems: Mapping[str, str]  # by field

    @property
    def resolved(self) -> dict[str, Any]:
        """Every value of this round; empty while the recipe cannot be read."""
        return self.recipe.resolved() if self.recipe else {}


def examined(asked: Asked) -> Examined:
    """All that can be told at once: the recipe, and the problem of each field that has one."""
    schedule, recipe, problems = understood(asked.recipe, asked.changes, asked.number)
    resolved = recipe.resolved() if recipe else {}
    found = {
        "base_policy": policy_problem(asked.base_policy),
        "snapshot": snapshot_problem(asked.snapshot, resolved, earlier=[each.snapshot for each in asked.earlier]),
        "previous": previous_problem(asked.previous),
        "demonstrations": demonstrations_problem(asked.demonstrations, resolved),
    }
    if recipe and "recipe" not in problems:
        found["recipe"] = reward_problem(recipe, asked.earlier) or disk_for(asked.base_policy.location, recipe).problem
    return Examined(schedule, recipe, problems | {field: problem for field, problem in found.items() if problem})


def understood(
    name: str, changes: Mapping[str, Any], number: int
) -> tuple[recipes.Recipe | None, recipes.Recipe | None, dict[str, str]]:
    """The recipe of all rounds, that of the ``number``-th, and what is wrong with either, by field."""
    try:
        schedule = schedule_named(name, changes)
        recipe = schedule.of_round(number)
    except recipes.RecipeError as error:
        return None, None, {_at_fault(name, changes): str(error)}
    problem = recipe_problem(recipe, number)
    return schedule, recipe, {"recipe": problem} if problem else {}


def _at_fault(name: str, changes: Mapping[str, Any]) -> str:
    """Whether the file or what was laid over it is to be mended."""
    if not changes:
        return "recipe"
    try:
        schedule_named(name)
    except recipes.RecipeError:
        return "changes" if name == BLANK else "recipe"
    return "changes"


def recipe_problem(recipe: recipes.Recipe, number: int) -> str | None:
    if not recipe.stages:
        return (
            f'Recipe "{recipe.name}" has no stage in round {number} of its schedule. '
            "Choose another recipe, or another round to continue."
        )
    judge = recipe.evaluate.judge_policy if recipe.evaluate else ""
    if judge and not ModelVersion.objects.policies().filter(name=judge).exists():
        return (
            f'Recipe "{recipe.name}", [evaluate]: "judge_policy" is "{judge}", and no policy of that name is '
            'registered. Register it, or name another one by a change: evaluate.judge_policy = "...".'
        )
    return None


def reward_problem(recipe: recipes.Recipe, earlier: Sequence[TrainingRound]) -> str | None:
    """A reward model that the recipe trains in another round is there only if a round of this schedule did so."""
    scores = recipe.rejection_sampling is not None
    judges = recipe.evaluate is not None and "reward_model" in recipe.evaluate.judges and recipe.judge_model is None
    if recipe.reward_model or not (scores or judges):
        return None
    finished = Stage.objects.filter(round__in=earlier, kind=StageKind.REWARD_MODEL, state=StageState.FINISHED)
    if finished.exists():
        return None
    stage = StageKind.REJECTION_SAMPLING if scores else StageKind.EVALUATE
    return (
        f'Recipe "{recipe.name}", [{stage}] needs the reward model of an earlier round, and no earlier round of this '
        "schedule has trained one. Continue a round that has, or choose a recipe that trains one in this round."
    )


def retry_problem(round: TrainingRound) -> str | None:
    """What a retry would run into at once: the disk may be full by now, perhaps by what this round wrote."""
    try:
        recipe = recipes.from_dict(round.recipe, source=round.recipe_name, is_of_round=True)
    except recipes.RecipeError:  # of an older version; its stages say what is wrong
        return None
    done = round.stages.filter(state=StageState.FINISHED).values_list("kind", flat=True)
    return disk_for(round.base_policy.location, recipe, done=set(done)).problem


def name_problem(name: str, kinds: Sequence[StageKind]) -> str | None:
    """``kinds``: the round's stages, some of which leave model versions called after it."""
    if not name.strip():
        return "Give the round a name."
    if not NAME.fullmatch(name):
        return (
            f'"{name}" cannot be the name of a model, and those that the round makes are called after it. Use letters, '
            "digits, dots, dashes and underscores, and begin with a letter or digit."
        )
    if len(name) > MAX_NAME:
        return f"The name has {len(name)} characters; {MAX_NAME} is the most. Shorten it."
    if TrainingRound.objects.filter(name=name).exists():
        return name_taken(name)
    models = [model for kind in kinds if (model := round_plan.model_name(name, kind))]
    if taken := ModelVersion.objects.filter(name__in=models).values_list("name", flat=True).first():
        return f'The round would make a model "{taken}", and there is one already. Choose another name.'
    return None


def name_taken(name: str) -> str:
    return f'There is a round "{name}" already. Choose another name.'


def policy_problem(policy: ModelVersion) -> str | None:
    if policy.role != ModelRole.POLICY:
        return f'"{policy.name}" is a {policy.get_role_display()}; a round starts from a policy. Choose one.'
    try:
        checkpoints.check_present(policy.location)
    except checkpoints.ModelNotUsable as error:
        return f'"{policy.name}" cannot be used: {error}'
    return None


def previous_problem(previous: TrainingRound | None) -> str | None:
    if previous is None or previous.state == TaskState.FINISHED:
        return None
    return (
        f'Round "{previous}" is {previous.get_state_display()}; a schedule goes on from a round that has finished. '
        "Choose another one, or see that it finishes."
    )


def warnings_of(asked: Asked) -> list[str]:
    """What stands in nothing's way, and whoever launches the round should know."""
    previous, warnings = asked.previous, []
    if withdrawn := withdrawn_in(asked.snapshot):
        warnings.append(
            f'Snapshot "{asked.snapshot.name}" holds {withdrawn.judgments:,} judgments of annotators who have '
            "withdrawn their work since. Freeze a new snapshot, which leaves them out."
        )
    if previous is None:
        return warnings
    if previous.policy is None:
        warnings.append(
            f'Round "{previous}" made no policy, so this one starts from whatever is chosen as its base policy.'
        )
    if asked.snapshot.content_hash == previous.snapshot.content_hash:
        warnings.append(
            f'Snapshot "{asked.snapshot.name}" holds what round "{previous}" has learned from already. Have its '
            "policy's completions judged and freeze a new snapshot, if this round is to learn something new."
        )
    return warnings


def demonstrations_problem(demonstrations: DemonstrationSet | None, recipe: Mapping[str, Any]) -> str | None:
    if demonstrations is not None or StageKind.DEMONSTRATIONS not in recipe:
        return None
    return (
        f'Recipe "{recipe["name"]}" begins this round with SFT on demonstrations. Choose a set of them, or a recipe '
        "without that stage."
    )


def snapshot_problem(
    snapshot: DatasetSnapshot, recipe: Mapping[str, Any], *, earlier: Sequence[DatasetSnapshot] = ()
) -> str | None:
    """``recipe`` is a resolved one, empty when it is not known; ``earlier``: the snapshots of the rounds before."""
    if not recipe and not train_pairs(snapshot):
        return _too_few(snapshot, 0, "train", 1)
    for kind in PAIR_STAGES:
        if (section := recipe.get(kind)) is None:
            continue
        read = [snapshot, *_others(snapshot, earlier)] if section.get("snapshots") == "all" else [snapshot]
        judges = section["judges"]
        if not judged_by(read, judges):
            return _nobody_counts(snapshot, read, recipe, judges)
        which, count = ("held-out", held_out_pairs) if kind == StageKind.JUDGE_MODEL else ("train", train_pairs)
        # Of a mixed snapshot the pairs by people are an estimate, and nothing is refused by that: the check counts.
        if (pairs := sum(map(count, read))) < section["least_rows"]:
            return _too_few(snapshot, pairs, which, section["least_rows"])
    return None


def _others(snapshot: DatasetSnapshot, earlier: Iterable[DatasetSnapshot]) -> Iterable[DatasetSnapshot]:
    return {each.pk: each for each in earlier if each.pk != snapshot.pk}.values()


def _nobody_counts(
    snapshot: DatasetSnapshot, read: Sequence[DatasetSnapshot], recipe: Mapping[str, Any], judges: str
) -> str:
    stages = [kind for kind in PAIR_STAGES if recipe.get(kind, {}).get("judges") == judges]
    wider = "people_and_imported" if judged_by(read, "people_and_imported") else "all"
    lets_in = " and ".join(f'{stage.value}.judges = "{wider}"' for stage in stages)
    whose = judges.replace("_", " ")
    return (
        f'Snapshot "{snapshot.name}" has no judgment by {whose}, only {others_in_words(read, judges)}, and this '
        f"recipe counts {whose} alone. Let the others count too, by the changes {lets_in}; or choose another snapshot."
    )


def _too_few(snapshot: DatasetSnapshot, pairs: int, which: str, needed: int) -> str:
    return (
        f'Snapshot "{snapshot.name}" has {pairs} {which} pair{"" if pairs == 1 else "s"} by majority; this recipe '
        f"needs at least {needed}. Collect more judgments or choose another snapshot."
    )


def can_launch() -> bool:
    """Whether there is a policy to start from and a snapshot to learn from."""
    return ModelVersion.objects.policies().exists() and DatasetSnapshot.objects.exists()
