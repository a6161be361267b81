"""What the launch form begins with: for a round from nothing, one that continues a schedule, or a clone."""

from collections.abc import Mapping
from typing import Any

from annotation.models import DatasetSnapshot
from training import recipe as recipes
from training.launching import changes
from training.launching.asked import BLANK
from training.launching.forms import recipe_names
from training.models import TrainingRound

FIRST_RECIPE = "demo"


def anew() -> dict[str, Any]:
    return {"name": free_name(), "recipe": FIRST_RECIPE}


def continuing(round: TrainingRound) -> dict[str, Any]:
    """The next round of ``round``'s schedule: from the policy that it made, with the newest judgments."""
    newest = DatasetSnapshot.objects.filter(project=round.snapshot.project_id).order_by("-created_at").first()
    return {
        "name": free_name(),
        "previous": round.pk,
        "base_policy": round.policy_id or round.base_policy_id,
        "snapshot": newest.pk if newest else round.snapshot_id,
        "demonstrations": round.demonstrations_id,
        "seed": round.seed,
    } | recipe_of(round)


def cloning(round: TrainingRound) -> dict[str, Any]:
    """The same inputs under a free name."""
    return {
        "name": free_name(),
        "cloned_from": round.pk,
        "previous": round.previous_id,
        "base_policy": round.base_policy_id,
        "snapshot": round.snapshot_id,
        "demonstrations": round.demonstrations_id,
        "seed": round.seed,
    } | recipe_of(round)


def heading(previous: TrainingRound | None, cloned_from: TrainingRound | None) -> str:
    """What the page is called while these two are chosen."""
    if cloned_from:
        return f"Clone of {cloned_from}"
    return f"Round {previous.number + 1} after {previous}" if previous else "Launch a round"


def recipe_of(round: TrainingRound) -> dict[str, str]:
    """The recipe and the changes that give, with the files as they are today, what ``round`` was told."""
    wanted = _used(round.schedule or round.recipe)  # rounds of before there were schedules have the one
    differing = changes.between(file, wanted) if (file := _file(round.recipe_name)) else None
    if differing is not None:
        return {"recipe": round.recipe_name, "changes": changes.as_text(differing)}
    return {"recipe": BLANK, "changes": changes.as_text(changes.whole(wanted))}


def _used(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the values that do nothing, which older rounds are stored with, and which are refused where given."""
    try:
        return recipes.from_dict(dict(stored), source="a round", is_of_round=True).resolved()
    except recipes.RecipeError:
        return stored  # what is wrong with it is told where it is launched


def _file(name: str) -> Mapping[str, Any] | None:
    """What the recipe of that name says today; None when it is gone, or cannot be read."""
    if name not in recipe_names():
        return None
    try:
        return recipes.load(name).resolved()
    except recipes.RecipeError:
        return None


def free_name() -> str:
    """round-1, round-2 ...: the first one that is free."""
    taken = set(TrainingRound.objects.values_list("name", flat=True))
    number = TrainingRound.objects.count() + 1
    while f"round-{number}" in taken:
        number += 1
    return f"round-{number}"
