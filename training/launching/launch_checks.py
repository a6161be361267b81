"""What stands in the way of a round, in words for whom it concerns: each check gives a message, or None.

Only what rows tell at once. What takes reading the data (lengths, templates, memory) is the check's
(`training.pipeline.check`), whose findings are in `checks`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import DatasetSnapshot
from sampling import checkpoints
from sampling.long_tasks import TaskState
from sampling.models import ModelRole, ModelVersion
from training import recipe as recipes
from training.launching.asked import BLANK, Asked, schedule_named
from training.models import DemonstrationSet, StageKind, TrainingRound
from training.running import round_plan

MAX_NAME = 100  # room for "-demonstrations" in the names of the model versions


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


def name_problem(name: str, kinds: Sequence[StageKind]) -> str | None:
    """``kinds``: the round's stages, some of which leave model versions called after it."""
    if not name.strip():
        return "Give the round a name."
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
    for kind in (StageKind.REWARD_MODEL, StageKind.DPO):
        section = recipe.get(kind)
        of_all = section is not None and section.get("snapshots") == "all"
        pairs = train_pairs(snapshot) + (sum(map(train_pairs, _others(snapshot, earlier))) if of_all else 0)
        needed = section["least_rows"] if section else 0 if recipe else 1
        if pairs < needed:
            return _too_few(snapshot, pairs, "train", needed)
    judge = recipe.get(StageKind.JUDGE_MODEL)
    if judge and held_out_pairs(snapshot) < judge["least_rows"]:
        return _too_few(snapshot, held_out_pairs(snapshot), "held-out", judge["least_rows"])
    return None


def _others(snapshot: DatasetSnapshot, earlier: Iterable[DatasetSnapshot]) -> Iterable[DatasetSnapshot]:
    return {each.pk: each for each in earlier if each.pk != snapshot.pk}.values()


def _too_few(snapshot: DatasetSnapshot, pairs: int, which: str, needed: int) -> str:
    return (
        f'Snapshot "{snapshot.name}" has {pairs} {which} pair{"" if pairs == 1 else "s"} by majority; this recipe '
        f"needs at least {needed}. Collect more judgments or choose another snapshot."
    )


def train_pairs(snapshot: DatasetSnapshot) -> int:
    """The pairs that a round learns from: those that most annotators agree on."""
    return snapshot.counts.get("majority_pairs_train", 0)


def held_out_pairs(snapshot: DatasetSnapshot) -> int:
    return snapshot.counts.get("majority_pairs_eval", 0)


def can_launch() -> bool:
    """Whether there is a policy to start from and a snapshot to learn from."""
    return ModelVersion.objects.policies().exists() and DatasetSnapshot.objects.exists()
