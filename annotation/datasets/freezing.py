"""Freeze judgments into a dataset: which ones, what they yield, and the hash that proves it.

A snapshot is a list of judgments. Judgments, completions and prompts are never edited, so nothing that happens later
changes it: a correction is another judgment, which is not on the list. Only judgments of work become data: no gold,
no qualification, no training, nothing withdrawn. Which of them a choice means is in chosen.py, which of them count in
frozen.py, what the hash covers in hashing.py.

*No prompt is on both sides.* A prompt's split is fixed when it is imported. Where the same messages are a train prompt
in one set and an eval prompt in another set that the snapshot draws on, eval wins: its comparisons are frozen as eval
ones, and the prompts are counted as ``held_out_elsewhere``. They are listed in the settings, under the hash, so that a
set that is imported later changes nothing.
"""

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, connection, transaction
from django.db.models import Max, Min

from annotation.datasets import hashing
from annotation.datasets.choice import Choice, SnapshotRefused, UnknownKind, checked_kinds
from annotation.datasets.chosen import to_freeze, why_nothing
from annotation.datasets.counts import Tally, circumstances, prompts_by_split
from annotation.datasets.reading import CompletionLost, Known, comparisons_between
from annotation.models import DatasetSnapshot, GuidelinesVersion, Project
from annotation.rules.aggregation import Aggregation
from sampling.models import Event, ModelVersion
from sampling.webhooks.emitting import emit

OnProgress = Callable[[], object]

__all__ = [
    "BadName",
    "Choice",
    "NameTaken",
    "NothingToFreeze",
    "SnapshotRefused",
    "UnknownKind",
    "checked_kinds",
    "freeze",
]

_HELD_OUT = """
    WITH prompts AS (
        SELECT DISTINCT comparison.prompt_id AS id
        FROM annotation_datasetsnapshot_judgments AS member
        JOIN annotation_judgment AS judgment ON judgment.id = member.judgment_id
        JOIN annotation_comparison AS comparison ON comparison.id = judgment.comparison_id
        WHERE member.datasetsnapshot_id = %s
    ), held_out AS (
        SELECT content_hash FROM sampling_prompt WHERE split = 'eval' AND prompt_set_id IN (
            SELECT prompt_set_id FROM sampling_prompt JOIN prompts USING (id)
        )
    )
    SELECT id FROM sampling_prompt JOIN prompts USING (id)
    WHERE split = 'train' AND content_hash IN (SELECT content_hash FROM held_out) ORDER BY id
"""


class NothingToFreeze(SnapshotRefused):
    field = "kinds"


class BadName(SnapshotRefused):
    pass


class NameTaken(SnapshotRefused):
    pass


def freeze(
    *,
    choice: Choice,
    project: Project,
    created_by: AbstractBaseUser | None = None,
    request_key: uuid.UUID | None = None,
    on_progress: OnProgress | None = None,
) -> DatasetSnapshot:
    """Freeze what the choice means now; ``project`` is where the snapshot is kept and who manages it.

    All or nothing. The same ``request_key`` again returns the same snapshot. ``on_progress`` is called once a
    comparison; what it raises ends it. Raises SnapshotRefused: see its kinds, each with the input it is about.
    """
    request_key = request_key or uuid.uuid4()
    if earlier := DatasetSnapshot.objects.filter(request_key=request_key).first():
        return earlier
    choice = choice.checked()
    check_name(choice.name)
    try:
        with transaction.atomic():
            return _freeze(choice, project, created_by, request_key, on_progress or (lambda: None))
    except CompletionLost as lost:
        raise SnapshotRefused(str(lost)) from lost
    except IntegrityError as error:
        # Two requests raced. One with our key made our snapshot; any other took our name.
        if earlier := DatasetSnapshot.objects.filter(request_key=request_key).first():
            return earlier
        check_free(project, choice.name, error, but_for=request_key)
        raise


def check_name(name: str) -> None:
    """Raise BadName unless it could also name a file."""
    limit = DatasetSnapshot._meta.get_field("name").max_length
    try:
        validate_slug(name)
    except ValidationError as error:
        raise BadName(
            f'"{name}" cannot name a snapshot: use letters, digits, hyphens and underscores, as in "june-1".'
        ) from error
    if len(name) > limit:
        raise BadName(f'"{name[:20]}…" has {len(name)} characters; a snapshot\'s name has at most {limit}.')


def check_free(
    project: Project, name: str, error: Exception | None = None, *, but_for: uuid.UUID | None = None
) -> None:
    """Raise NameTaken where the project has a snapshot of this name, or one in the making.

    ``but_for``: the request key of the freeze that asks, which is no other one.
    """
    making = project.freezes.unfinished().filter(name=name)
    if making.exclude(request_key=but_for).exists() if but_for else making.exists():
        raise NameTaken(
            f'Project "{project}" has a snapshot "{name}" in the making. Choose another name, or cancel that one.'
        ) from error
    if project.snapshots.filter(name=name).exists():
        raise NameTaken(
            f'Project "{project}" already has a snapshot "{name}". Snapshots are never overwritten: '
            "choose another name."
        ) from error


def _freeze(
    choice: Choice,
    project: Project,
    created_by: AbstractBaseUser | None,
    request_key: uuid.UUID,
    on_progress: OnProgress,
) -> DatasetSnapshot:
    snapshot = DatasetSnapshot.objects.create(
        project=project, name=choice.name, kinds=list(choice.kinds), created_by=created_by, request_key=request_key,
        hash_scheme=hashing.SCHEME,
    )  # fmt: skip
    snapshot.projects.set(choice.project_ids)
    # Who is in it is read once; all that follows is computed from this list, so judgments that arrive meanwhile
    # cannot be in one figure and not in another.
    if not _put_judgments_in(snapshot, choice):
        raise NothingToFreeze(why_nothing(choice))
    snapshot.settings = {
        "choice": choice.as_json(),
        "guidelines": _guidelines(snapshot),
        "held_out": _held_out(snapshot),
        "models": {str(pk): name for pk, name in ModelVersion.objects.values_list("pk", "name")},
    }
    if choice.aggregation is Aggregation.DAWID_SKENE:
        snapshot.settings["accuracies"] = _accuracies(snapshot)
    tally, blocks = _read_through(snapshot, on_progress)
    models = {pk: name for pk, name in snapshot.settings["models"].items() if int(pk) in tally.models}
    snapshot.settings |= {"models": models, "blocks": blocks}
    snapshot.content_hash = hashing.settings_hash(snapshot.settings)
    snapshot.counts = tally.counts() | prompts_by_split(snapshot) | circumstances(snapshot, choice)
    snapshot.save(update_fields=["settings", "content_hash", "counts"])
    _tell(snapshot)
    return snapshot


def _tell(snapshot: DatasetSnapshot) -> None:
    """In the transaction that freezes: webhooks hear of it once it is there for all to see, or never."""
    data = {
        "id": snapshot.pk,
        "name": snapshot.name,
        "project": snapshot.project.slug,
        "judgments": snapshot.counts["judgments"],
        "content_hash": snapshot.content_hash,
    }
    emit(Event.SNAPSHOT_FROZEN, data)


def _put_judgments_in(snapshot: DatasetSnapshot, choice: Choice) -> int:
    """Write the list in one statement, in the order in which it is read later (reading.py); return its length."""
    chosen, parameters = to_freeze(choice).order_by().values("pk", "comparison_id").query.sql_with_params()
    table = DatasetSnapshot.judgments.through._meta.db_table
    statement = f"""
        INSERT INTO {table} (datasetsnapshot_id, judgment_id)
        SELECT %s, chosen.judgment FROM ({chosen}) AS chosen (judgment, comparison)
        ORDER BY chosen.comparison, chosen.judgment
    """  # noqa: S608 - both are Django's own words: a table's name and a compiled queryset
    with connection.cursor() as cursor:
        cursor.execute(statement, [snapshot.pk, *parameters])
        return cursor.rowcount


def _read_through(snapshot: DatasetSnapshot, on_progress: OnProgress) -> tuple[Tally, list[list[Any]]]:
    """Count and hash all of it, a part at a time."""
    members = DatasetSnapshot.judgments.through.objects.filter(datasetsnapshot=snapshot)
    ends = members.aggregate(first=Min("pk"), last=Max("pk"))
    tally, blocks = Tally(), hashing.Blocks()
    for judged in comparisons_between(snapshot, Known.of(snapshot), ends["first"], ends["last"]):
        blocks.add(judged)
        tally.add(judged)
        on_progress()
    blocks.end()
    lasts = members.filter(judgment__in=[judgment for judgment, _, _ in blocks.found])
    place = dict(lasts.values_list("judgment_id", "pk"))
    found, first = [], ends["first"]
    for judgment, comparisons, digest in blocks.found:
        found.append([first, place[judgment], comparisons, digest])
        first = place[judgment] + 1
    return tally, found


def _held_out(snapshot: DatasetSnapshot) -> list[int]:
    """The prompts that are train ones by their set, and word for word eval prompts of another set of this snapshot."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD_OUT, [snapshot.pk])
        return [pk for (pk,) in cursor.fetchall()]


def _guidelines(snapshot: DatasetSnapshot) -> list[list[Any]]:
    """[project, number, SHA-256 of the text] of each version that judgments were given by."""
    ids = snapshot.judgments.order_by().values("guidelines_version")
    versions = GuidelinesVersion.objects.filter(pk__in=ids).select_related("project").order_by("project", "number")
    return [
        [version.project.slug, version.number, hashlib.sha256(version.text.encode()).hexdigest()]
        for version in versions
    ]


def _accuracies(snapshot: DatasetSnapshot) -> dict[str, float]:
    from annotation.figures.reliability import accuracies_of  # numpy: for workers and commands alone

    return {str(pk): accuracy for pk, accuracy in accuracies_of(snapshot).items()}
