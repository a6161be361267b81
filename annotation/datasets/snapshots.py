"""Freeze a project's judgments into a dataset: which ones, what they yield, and the hash that proves it.

A snapshot is a list of judgments. Judgments, completions and prompts are never edited, so nothing that
happens later changes it: a correction is another judgment, which is not on the list. The hash covers all that
decides an export; an export checks it again. Only judgments of work become data: no gold, no qualification, no
training, nothing withdrawn. Which of them count is known in frozen.py, what the rows look like in exports.py.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from annotation.datasets.counts import Tally, circumstances
from annotation.datasets.frozen import CompletionLost, canonical_bytes, judged_comparisons
from annotation.models import DatasetSnapshot, JudgeKind, Judgment, Project
from sampling.models import Split

BATCH = 1000  # rows written at once


class SnapshotRefused(Exception):
    """The snapshot cannot be made as asked. ``field`` names the input that can be changed."""

    field: ClassVar[str] = "name"


class NothingToFreeze(SnapshotRefused):
    field = "kinds"


class UnknownKind(SnapshotRefused):
    field = "kinds"


class BadName(SnapshotRefused):
    pass


class NameTaken(SnapshotRefused):
    pass


@dataclass(frozen=True)
class Available:
    """What would be frozen now."""

    judgments: int
    comparisons: int
    annotators: int
    comparisons_train: int
    comparisons_eval: int
    decisions: int


def freeze_snapshot(
    *,
    project: Project,
    name: str,
    kinds: Iterable[str],
    created_by: AbstractBaseUser | None = None,
    request_key: uuid.UUID | None = None,
    on_progress: Callable[[], object] | None = None,
) -> DatasetSnapshot:
    """Freeze the current judgments of these kinds. The same ``request_key`` again returns the same snapshot.

    ``on_progress`` is called once a comparison.
    Raises SnapshotRefused: a kind that does not exist or none, no judgment of these kinds, a name that is not
    a slug or is taken in this project.
    """
    request_key = request_key or uuid.uuid4()
    if earlier := DatasetSnapshot.objects.filter(request_key=request_key).first():
        return earlier
    kinds = checked_kinds(kinds)
    _check_name(name)
    try:
        with transaction.atomic():
            return _freeze(project, name, kinds, created_by, request_key, on_progress)
    except CompletionLost as lost:
        raise SnapshotRefused(str(lost)) from lost
    except IntegrityError as error:
        # Two requests raced. One with our key made our snapshot; any other took our name.
        if earlier := DatasetSnapshot.objects.filter(request_key=request_key).first():
            return earlier
        if project.snapshots.filter(name=name).exists():
            raise NameTaken(
                f'Project "{project}" already has a snapshot "{name}". Snapshots are never overwritten: '
                "choose another name."
            ) from error
        raise


def _freeze(project, name, kinds, created_by, request_key, on_progress) -> DatasetSnapshot:
    # The ids are read once; all that follows is computed from this list, so judgments that arrive meanwhile
    # cannot be in one figure and not in another.
    ids = list(to_freeze(project, kinds).values_list("pk", flat=True))
    if not ids:
        raise NothingToFreeze(_nothing_to_freeze(project, kinds))
    snapshot = DatasetSnapshot.objects.create(
        project=project, name=name, kinds=kinds, created_by=created_by, request_key=request_key
    )
    membership = DatasetSnapshot.judgments.through
    membership.objects.bulk_create(
        (membership(datasetsnapshot_id=snapshot.pk, judgment_id=pk) for pk in ids), batch_size=BATCH
    )
    digest, tally = hashlib.sha256(), Tally()
    for judged in judged_comparisons(snapshot):
        digest.update(canonical_bytes(judged))
        tally.add(judged)
        if on_progress is not None:
            on_progress()
    snapshot.content_hash = digest.hexdigest()
    snapshot.counts = {**tally.counts(), **circumstances(snapshot)}
    snapshot.save(update_fields=["content_hash", "counts"])
    return snapshot


def to_freeze(project: Project, kinds: Iterable[str]) -> QuerySet[Judgment]:
    """The newest revision of each judgment of work by these kinds, in this project.

    The kind of a reviewer counts as well: a person's decision is in no snapshot of simulated judgments.
    """
    found = Judgment.objects.current().of_work()
    return found.filter(comparison__project=project, kind__in=list(kinds)).order_by("pk")


def available(project: Project, kinds: Iterable[str]) -> Available:
    """What a snapshot of these kinds would hold if it were frozen now."""
    return Available(
        **to_freeze(project, kinds)
        .order_by()
        .aggregate(
            judgments=Count("pk"),
            comparisons=Count("comparison", distinct=True),
            annotators=Count("annotator", distinct=True),
            comparisons_train=Count("comparison", distinct=True, filter=_split(Split.TRAIN)),
            comparisons_eval=Count("comparison", distinct=True, filter=_split(Split.EVAL)),
            decisions=Count("pk", filter=Q(is_decision=True)),
        )
    )


def checked_kinds(kinds: Iterable[str]) -> list[str]:
    """``kinds`` without repetitions, in the order of JudgeKind. Raises UnknownKind."""
    asked, all_kinds = set(kinds), ", ".join(JudgeKind.values)
    if unknown := sorted(asked - set(JudgeKind.values)):
        raise UnknownKind(f'There is no kind of judge "{unknown[0]}". Choose from: {all_kinds}.')
    if not asked:
        raise UnknownKind(f"No kind of judge was chosen. Choose one or more of: {all_kinds}.")
    return [kind for kind in JudgeKind.values if kind in asked]


def _split(split: str) -> Q:
    return Q(comparison__prompt__split=split)


def _check_name(name: str) -> None:
    limit = DatasetSnapshot._meta.get_field("name").max_length
    try:
        validate_slug(name)
    except ValidationError as error:
        raise BadName(
            f'"{name}" cannot name a snapshot: use letters, digits, hyphens and underscores, as in "june-1".'
        ) from error
    if len(name) > limit:
        raise BadName(f'"{name[:20]}…" has {len(name)} characters; a snapshot\'s name has at most {limit}.')


def _nothing_to_freeze(project: Project, kinds: list[str]) -> str:
    asked = " or ".join(JudgeKind(kind).label for kind in kinds)
    others = [kind for kind in JudgeKind.values if kind not in kinds]
    found = [f"{count} by kind {kind}" for kind in others if (count := to_freeze(project, [kind]).count())]
    remedy = f"It has {' and '.join(found)}: ask for that kind." if found else "Annotate first."
    return f'Project "{project}" has no judgment by a {asked}. {remedy}'
