"""What a round would cost before it starts, and what is left of one that runs. Reads rows and a checkpoint's header."""

import functools
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
from sampling.models import Completion, ModelVersion
from training import recipe as recipes
from training.launching import estimates, launch_checks
from training.models import StageKind, StageState, TrainingRound
from training.running import round_data, round_plan
from training.watching.progress import RoundProgress

CHARACTERS_A_TOKEN = 4  # of English, for most tokenizers
LOOKED_AT = 300  # prompts and comparisons: a mean needs no more
NOT_A_ROUNDS_OWN = 0.95  # of the free disk: what a round may fill at most before the form warns


@dataclass(frozen=True)
class StageCost:
    label: str
    seconds: float


@dataclass(frozen=True)
class Cost:
    """What the launch form shows; without stages when something needed for it is missing or wrong."""

    problems: Sequence[str]
    recipe_text: str = ""
    stages: Sequence[StageCost] = ()
    counts: estimates.Counts | None = None
    disk_bytes: int = 0
    free_bytes: int = 0

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)


def of_form(asked: Mapping[str, str]) -> Cost:
    """The cost of what a form's fields name, whatever they hold."""
    problems: list[str] = []
    policy = _chosen(ModelVersion.objects.policies(), asked.get("base_policy"))
    snapshot = _chosen(DatasetSnapshot.objects.all(), asked.get("snapshot"))
    text, recipe = _recipe(asked.get("recipe") or "", problems)
    if policy is None:
        problems.append("Choose a base policy.")
    elif problem := launch_checks.policy_problem(policy):
        problems.append(problem)
    if snapshot is None:
        problems.append("Choose a snapshot.")
    elif problem := launch_checks.snapshot_problem(snapshot, recipe.resolved() if recipe else {}):
        problems.append(problem)
    if problems:
        return Cost(problems=problems, recipe_text=text)
    return _cost(policy, snapshot, recipe, text)


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
    round = TrainingRound.objects.select_related("base_policy", "snapshot").get(pk=pk, request_key=request_key)
    try:
        recipe = recipes.from_dict(round.recipe, source=round.recipe_name)
    except recipes.RecipeError:  # of an older version, with keys that are gone
        return {}
    counts = _counts(round.base_policy, round.snapshot)
    return estimates.seconds_of(recipe, counts) if counts else {}


def _recipe(name: str, problems: list[str]) -> tuple[str, recipes.Recipe | None]:
    """The text and the meaning of one of the project's recipes; never of any other file."""
    if name not in {path.stem for path in recipes.RECIPES.glob("*.toml")}:
        problems.append("Choose a recipe.")
        return "", None
    text = (recipes.RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    try:
        return text, recipes.parse(text, name)
    except recipes.RecipeError as error:
        problems.append(str(error))
        return text, None


def _cost(policy: ModelVersion, snapshot: DatasetSnapshot, recipe: recipes.Recipe, text: str) -> Cost:
    counts = _counts(policy, snapshot)
    if counts is None:
        unknown = f'How large "{policy.name}" is cannot be read from files here, so nothing can be estimated.'
        return Cost(problems=[unknown], recipe_text=text)
    seconds = estimates.seconds_of(recipe, counts)
    checkpoint_stages = [kind for kind in recipe.stages if round_plan.model_name("", StageKind(kind))]
    disk_bytes = len(checkpoint_stages) * _weights_bytes(policy.location)
    free_bytes = shutil.disk_usage(settings.VAR_DIR if settings.VAR_DIR.exists() else "/").free
    problems = []
    if disk_bytes > NOT_A_ROUNDS_OWN * free_bytes:
        problems.append("The disk is too full for this round's checkpoints. Free some space first.")
    if not counts.prompts_eval:
        problems.append(
            "The snapshot's prompt sets have no eval prompts, so the new policy cannot be measured nor published. "
            "Import prompts with the split eval."
        )
    return Cost(
        problems=problems,
        recipe_text=text,
        stages=[StageCost(StageKind(kind).label, spent) for kind, spent in seconds.items()],
        counts=counts,
        disk_bytes=disk_bytes,
        free_bytes=free_bytes,
    )


def _counts(policy: ModelVersion, snapshot: DatasetSnapshot) -> estimates.Counts | None:
    parameters = _parameters(policy.location)
    if not parameters:
        return None
    train, held_out = round_data.prompts_of(snapshot)
    return estimates.Counts(
        pairs_train=launch_checks.train_pairs(snapshot),
        pairs_eval=snapshot.counts.get("majority_pairs_eval", 0),
        prompts_train=train.count(),
        prompts_eval=held_out.count(),
        prompt_tokens=_prompt_tokens(train),
        completion_tokens=_completion_tokens(snapshot),
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


def _chosen(rows, pk: str | None):
    return rows.filter(pk=int(pk)).first() if pk and str(pk).isdecimal() and len(str(pk)) < 19 else None
