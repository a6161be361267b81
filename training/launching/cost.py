"""What a round would cost before it starts, and what is left of one that runs. Reads rows and a checkpoint's header."""

import functools
import itertools
import json
import math
import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Avg

from annotation.models import DatasetSnapshot
from sampling import checkpoints
from sampling.engine.run_dir import RunDirError
from sampling.models import Completion, ModelVersion
from training import recipe as recipes
from training.launching import estimates, launch_checks
from training.launching.asked import Asked
from training.models import DemonstrationSet, StageKind, StageState, TrainingRound
from training.pipeline.schedule import Schedule, schedule_of
from training.recipe import Recipe, Training
from training.running import round_data, round_plan
from training.watching.progress import RoundProgress

CHARACTERS_A_TOKEN = 4  # of English, for most tokenizers
LOOKED_AT = 300  # prompts, comparisons, conversations: a mean needs no more
NOT_A_ROUNDS_OWN = 0.95  # of the free disk: what a round may fill at most before the form warns
# Of a checkpoint along the way, for each weight that moves: itself and Adam's two moments, in 32 bits. Two of them lie
# there for a moment, the newest and the one before.
RESUME_BYTES = 2 * 12


@dataclass(frozen=True)
class StageCost:
    kind: str
    label: str
    seconds: float
    rows: int | None = None  # before any is dropped
    schedule: Schedule | None = None


@dataclass(frozen=True)
class Cost:
    """What the launch form shows; without stages when something needed for it cannot be read."""

    problems: Sequence[str] = ()
    stages: Sequence[StageCost] = ()
    counts: estimates.Counts | None = None
    disk_bytes: int = 0
    resume_bytes: int = 0  # while a stage trains, beside disk_bytes
    free_bytes: int = 0

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)


def cost_of(asked: Asked, recipe: Recipe) -> Cost:
    """What a round by ``recipe``, resolved for that round, would cost."""
    counts = _counts(asked.base_policy, asked.snapshot, asked.demonstrations, asked.earlier)
    if counts is None:
        return Cost([f'How large "{asked.base_policy.name}" is cannot be read from files here: no estimate.'])
    disk_bytes = sum(1 for kind in recipe.stages if round_plan.model_name("", StageKind(kind)))
    disk_bytes *= _weights_bytes(asked.base_policy.location)
    resume_bytes = max((_resume_bytes(section, counts) for section in recipe.sections.values()), default=0)
    free_bytes = shutil.disk_usage(settings.VAR_DIR if settings.VAR_DIR.exists() else "/").free
    return Cost(
        problems=_problems(counts, disk_bytes + resume_bytes, free_bytes),
        stages=_stages(recipe, counts),
        counts=counts,
        disk_bytes=disk_bytes,
        resume_bytes=resume_bytes,
        free_bytes=free_bytes,
    )


def remaining_seconds(progress: RoundProgress) -> float | None:
    """What a running round still needs: its stage's own pace, and the estimates for those that wait.

    The estimates are scaled by how long the finished stages really took.
    """
    if progress.running is None:
        return None
    expected = _expected(progress.round.pk, progress.round.request_key)
    if not expected:
        return None
    known = [item for item in progress.stages if item.stage.state == StageState.FINISHED and item.seconds]
    planned = sum(expected[item.stage.kind] for item in known)
    pace = min(5.0, max(0.2, sum(item.seconds for item in known) / planned)) if planned else 1.0
    waiting = [item for item in progress.stages if item.state == StageState.PENDING]
    now = progress.running
    own = now.remaining_seconds
    if own is None or now.share < 0.1:  # it is starting: its pace says nothing yet
        own = max(0.0, pace * expected[now.stage.kind] - (now.seconds or 0))
    return own + pace * sum(expected[item.stage.kind] for item in waiting)


@functools.lru_cache(maxsize=256)
def _expected(pk: int, request_key: object) -> Mapping[str, float]:
    """Seconds by stage of one round, which never change; the key tells apart rounds of databases made anew."""
    rounds = TrainingRound.objects.select_related("base_policy", "snapshot", "demonstrations")
    round = rounds.get(pk=pk, request_key=request_key)
    try:
        recipe = recipes.from_dict(round.recipe, source=round.recipe_name, is_of_round=True)
    except recipes.RecipeError:  # of an older version, with keys that are gone
        return {}
    counts = _counts(round.base_policy, round.snapshot, round.demonstrations, round.earlier())
    return estimates.seconds_of(recipe, counts) if counts else {}


def _stages(recipe: Recipe, counts: estimates.Counts) -> list[StageCost]:
    return [
        StageCost(kind, StageKind(kind).label, spent, *_work(recipe.sections.get(kind), counts))
        for kind, spent in estimates.seconds_of(recipe, counts).items()
    ]


def _work(section: recipes.Section | None, counts: estimates.Counts) -> tuple[int | None, Schedule | None]:
    rows = estimates.rows_of(section, counts) if section else None
    if not rows or not isinstance(section, Training):
        return rows, None
    try:
        return rows, schedule_of(section, rows)
    except RunDirError:  # no micro batch makes the batch here; the check says so in full
        return rows, None


def _problems(counts: estimates.Counts, needed_bytes: int, free_bytes: int) -> list[str]:
    problems = []
    if needed_bytes > NOT_A_ROUNDS_OWN * free_bytes:
        problems.append("The disk is too full for this round's checkpoints. Free some space first.")
    if not counts.prompts_eval:
        problems.append(
            "The snapshot's prompt sets have no eval prompts, so the new policy cannot be measured nor published. "
            "Import prompts with the split eval."
        )
    return problems


def _counts(
    policy: ModelVersion,
    snapshot: DatasetSnapshot,
    demonstrations: DemonstrationSet | None,
    earlier: Sequence[TrainingRound],
) -> estimates.Counts | None:
    parameters = _parameters(policy.location)
    if not parameters:
        return None
    train, held_out = round_data.prompts_of(snapshot, *(round.snapshot for round in earlier))
    others = {round.snapshot_id: round.snapshot for round in earlier if round.snapshot_id != snapshot.pk}
    return estimates.Counts(
        pairs_train=launch_checks.train_pairs(snapshot),
        pairs_eval=launch_checks.held_out_pairs(snapshot),
        pairs_earlier=sum(map(launch_checks.train_pairs, others.values())),
        prompts_train=train.count(),
        prompts_eval=held_out.count(),
        prompt_tokens=_prompt_tokens(train),
        completion_tokens=_completion_tokens(snapshot),
        demonstrations=demonstrations.rows if demonstrations else 0,
        demonstration_tokens=_demonstration_tokens(demonstrations) if demonstrations else 0.0,
        parameters=parameters,
        cores=len(os.sched_getaffinity(0)),
        has_gpu=round_plan.has_gpu(),
    )


def _prompt_tokens(prompts) -> float:
    looked_at = [
        sum(len(turn["content"]) for turn in messages)
        for messages in prompts.values_list("messages", flat=True)[:LOOKED_AT]
    ]
    return sum(looked_at) / len(looked_at) / CHARACTERS_A_TOKEN if looked_at else 0.0


def _demonstration_tokens(demonstrations: DemonstrationSet) -> float:
    try:
        with Path(demonstrations.location).open("rb") as file:
            looked_at = [len(line) for line in itertools.islice(file, LOOKED_AT)]
    except OSError:  # it is gone, and the check says so
        return 0.0
    return sum(looked_at) / len(looked_at) / CHARACTERS_A_TOKEN if looked_at else 0.0


def _completion_tokens(snapshot: DatasetSnapshot) -> float:
    comparisons = snapshot.judgments.order_by("comparison").values("comparison")[:LOOKED_AT]
    completions = Completion.objects.filter(comparisons__in=comparisons)
    return completions.aggregate(mean=Avg("tokens"))["mean"] or 0.0


def _parameters(location: str) -> int:
    """Weights of a checkpoint, from the headers of its files; 0 when it is not here."""
    if checkpoints.is_hub_id(location):
        return 0
    try:
        return sum(_numbers_in(path) for path in Path(location).glob("*.safetensors"))
    except (OSError, ValueError, KeyError, struct.error):
        return 0


def _numbers_in(path: Path) -> int:
    """A safetensors file begins with the length of its header (8 bytes) and the header, which is JSON."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, 100_000_000)))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def _weights_bytes(location: str) -> int:
    return sum(path.stat().st_size for path in Path(location).glob("*.safetensors"))


def _resume_bytes(section: recipes.Section, counts: estimates.Counts) -> int:
    """What checkpoints along the way take; adapters are too small to count."""
    if not isinstance(section, Training) or section.method != "full":
        return 0
    return int(RESUME_BYTES * counts.parameters) if section.checkpoint_minutes or section.checkpoint_steps else 0
