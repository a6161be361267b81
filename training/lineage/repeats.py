"""The same stage run again: whether it made the same weights, and if not, what of it does not repeat itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sampling.models import ModelVersion
from training.lineage.graph import Made
from training.models import Stage, StageKind, StageState


@dataclass(frozen=True)
class Repeat:
    """Another version that was made from the same snapshot, recipe and seed, of the same starting weights."""

    version: ModelVersion
    is_same: bool
    differs: tuple[str, ...]  # what of the circumstances was not the same: "torch 2.13.0, here 2.14.0"


def repeats_of(made: Made) -> list[Repeat]:
    stage = made.stage
    if stage is None or not made.version.content_hash:
        return []
    others = Stage.objects.filter(kind=stage.kind, state=StageState.FINISHED, round__seed=stage.round.seed)
    others = others.exclude(pk=stage.pk).filter(
        round__snapshot__content_hash=stage.round.snapshot.content_hash,
        model_version__parent__content_hash=made.version.parent.content_hash if made.version.parent else "",
    )
    found = others.select_related("round__demonstrations", "model_version").order_by("pk")
    return [
        Repeat(
            version=other.model_version,
            is_same=other.model_version.content_hash == made.version.content_hash,
            differs=tuple(_differences(stage.provenance or {}, other.provenance or {})),
        )
        for other in found
        if _asked(other) == _asked(stage)
    ]


def not_deterministic(stage: Stage | None) -> list[str]:
    """What of this stage need not come out the same a second time, in sentences; empty when all of it does."""
    return list((stage.provenance or {}).get("not_deterministic", [])) if stage else []


def _asked(stage: Stage) -> list[Any]:
    """The values of the stage and, where it learned from kept completions, of the stage that kept them."""
    kinds = [stage.kind]
    if stage.kind == StageKind.SFT:
        kinds += [StageKind.REJECTION_SAMPLING, StageKind.REWARD_MODEL]
    demonstrations = stage.round.demonstrations.content_hash if stage.round.demonstrations else ""
    is_shown = stage.kind == StageKind.DEMONSTRATIONS
    return [*(stage.round.recipe.get(kind) for kind in kinds), demonstrations if is_shown else ""]


def _differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    libraries, theirs = here.get("libraries", {}), there.get("libraries", {})
    told = [
        f"{name} {theirs.get(name, 'absent')}, here {libraries.get(name, 'absent')}"
        for name in sorted(libraries.keys() | theirs.keys())
        if libraries.get(name) != theirs.get(name)
    ]
    for key, words in (
        ("hardware", "other hardware"),
        ("threads", "another number of threads"),
        ("code", "other code"),
    ):
        if here.get(key) != there.get(key):
            told.append(words)
    return told
