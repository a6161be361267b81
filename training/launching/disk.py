"""The disk that a round would fill, and what is free of it. Reads a checkpoint's files, no rows."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from sampling import checkpoints
from training.models import StageKind
from training.recipe import Recipe, Section, Training
from training.running import round_plan
from training.watching.figures import size

NOT_A_ROUNDS_OWN = 0.95  # of the free disk: what a round may fill at most
# Of a checkpoint along the way, for each weight that moves: itself and Adam's two moments, in 32 bits. Two of them lie
# there for a moment, the newest and the one before.
RESUME_BYTES = 2 * 12


@dataclass(frozen=True)
class Disk:
    kept_bytes: int  # the checkpoints that the stages leave
    resume_bytes: int  # beside them, while a stage trains
    free_bytes: int

    @property
    def problem(self) -> str | None:
        """What to tell whoever launches the round, where the disk is too full for it."""
        needed = self.kept_bytes + self.resume_bytes
        if needed <= NOT_A_ROUNDS_OWN * self.free_bytes:
            return None
        return (
            f"The disk is too full: the round would write {size(needed)} of checkpoints, and {size(self.free_bytes)} "
            f"are free in {settings.VAR_DIR}. Free some space there, choose a smaller policy, or train adapters "
            '(method = "lora"), whose checkpoints along the way are small.'
        )


def disk_for(policy: str, recipe: Recipe, *, done: Collection[str] = ()) -> Disk:
    """What a round by ``recipe`` from the checkpoint at ``policy`` takes; nothing for one that is not here yet.

    ``done``: stages that are over, whose checkpoints lie there already.
    """
    kinds = [kind for kind in recipe.stages if kind not in done]
    kept = sum(1 for kind in kinds if round_plan.model_name("", StageKind(kind)))
    sections = (recipe.sections[kind] for kind in kinds)
    parameters = checkpoints.parameters(policy)
    return Disk(
        kept_bytes=kept * _weights_bytes(policy) if parameters else 0,
        resume_bytes=max((_resume_bytes(section, parameters) for section in sections), default=0),
        free_bytes=shutil.disk_usage(settings.VAR_DIR if settings.VAR_DIR.exists() else "/").free,
    )


def _weights_bytes(location: str) -> int:
    return sum(path.stat().st_size for path in Path(location).glob("*.safetensors"))


def _resume_bytes(section: Section, parameters: int) -> int:
    """What checkpoints along the way take; adapters are too small to count."""
    if not isinstance(section, Training) or section.method != "full":
        return 0
    return int(RESUME_BYTES * parameters) if section.checkpoint_minutes or section.checkpoint_steps else 0
