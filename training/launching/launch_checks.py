"""What stands in the way of a round, in words for whom it concerns: each check gives a message, or None."""

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.models import DatasetSnapshot
from sampling import checkpoints
from sampling.models import ModelRole, ModelVersion
from training.models import StageKind, TrainingRound
from training.running import round_plan

MAX_NAME = 100  # room for "-reward" in the names of the model versions


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


def snapshot_problem(snapshot: DatasetSnapshot, recipe: Mapping[str, Any]) -> str | None:
    """``recipe`` is a resolved one, or empty when it is not known."""
    pairs, needed = train_pairs(snapshot), pairs_needed(recipe)
    if pairs >= needed:
        return None
    return (
        f'Snapshot "{snapshot.name}" has {pairs} train pair{"" if pairs == 1 else "s"} by majority; this recipe '
        f"needs at least {needed}. Collect more judgments or choose another snapshot."
    )


def train_pairs(snapshot: DatasetSnapshot) -> int:
    """The pairs that a round learns from: those that most annotators agree on."""
    return snapshot.counts.get("majority_pairs_train", 0)


def pairs_needed(recipe: Mapping[str, Any]) -> int:
    """What its stages that learn from pairs ask for. They refuse fewer themselves, but only after minutes."""
    asking = (StageKind.REWARD_MODEL, StageKind.DPO)
    return max((recipe[kind]["least_rows"] for kind in asking if kind in recipe), default=1)


def can_launch() -> bool:
    """Whether there is a policy to start from and a snapshot to learn from."""
    return ModelVersion.objects.policies().exists() and DatasetSnapshot.objects.exists()
