"""Freeze a project's judgments into a dataset: which ones, what they yield, and the hash that proves it.

A snapshot is a list of judgments. Judgments, completions and prompts are never edited, so nothing that
happens later changes it: a correction is another judgment, which is not on the list. The hash covers all that
decides an export; an export checks it again. What the rows look like is not known here (exports.py).
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from annotation.consensus import consensus_of, tied_pairs
from annotation.models import DatasetSnapshot, JudgeKind, Judgment, Project
from annotation.ranking import Ranking, pairs_of
from sampling.models import Completion, Prompt, Split

BATCH = 1000  # rows read or written at once
COMPARISONS_AT_ONCE = 250  # with all their texts: a few kilobytes each


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
class JudgedComparison:
    """One comparison of a snapshot with everything that its rows are made of."""

    comparison_id: int
    prompt: Prompt
    texts: dict[int, str]  # completion id -> text, of the completions that were ranked
    finish_reasons: dict[int, str]  # completion id -> "stop", or "length" for one that was cut off
    judgments: list[Judgment]  # by id

    def rankings(self) -> list[Ranking]:
        return [ranking_of(judgment) for judgment in self.judgments]


@dataclass(frozen=True)
class Available:
    """What would be frozen now."""

    judgments: int
    comparisons: int
    annotators: int
    comparisons_train: int
    comparisons_eval: int


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
    snapshot.counts = tally.counts()
    snapshot.save(update_fields=["content_hash", "counts"])
    return snapshot


def to_freeze(project: Project, kinds: Iterable[str]) -> QuerySet[Judgment]:
    """The newest revision of each judgment of these kinds, in this project."""
    return Judgment.objects.current().filter(comparison__project=project, kind__in=list(kinds)).order_by("pk")


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


def ranking_of(judgment: Judgment) -> Ranking:
    return Ranking(judgment.ranking, judgment.strengths)


def judged_comparisons(snapshot: DatasetSnapshot) -> Iterator[JudgedComparison]:
    """The snapshot's judgments by comparison, in a fixed order, in memory one batch at a time."""
    judgments = (
        Judgment.objects.filter(snapshots=snapshot)
        .order_by("comparison_id", "pk")
        .select_related("comparison__prompt")
        .only(
            "annotator_id",
            "kind",
            "ranking",
            "strengths",
            "comparison__prompt__messages",
            "comparison__prompt__split",
        )
        .iterator(chunk_size=BATCH)
    )
    groups = (list(group) for _, group in groupby(judgments, key=lambda judgment: judgment.comparison_id))
    while batch := list(islice(groups, COMPARISONS_AT_ONCE)):
        ids = {pk for group in batch for judgment in group for pk in _ranked(judgment)}
        completions = Completion.objects.only("text", "finish_reason").in_bulk(ids)
        if missing := ids - completions.keys():
            raise SnapshotRefused(
                f'Completion {min(missing)}, which a judgment in snapshot "{snapshot}" ranks, was deleted from the '
                "database by hand. Restore it from a backup."
            )
        yield from (_judged_comparison(group, completions) for group in batch)


def _judged_comparison(judgments: list[Judgment], completions: dict[int, Completion]) -> JudgedComparison:
    ranked = {pk for judgment in judgments for pk in _ranked(judgment)}
    return JudgedComparison(
        comparison_id=judgments[0].comparison_id,
        prompt=judgments[0].comparison.prompt,
        texts={pk: completions[pk].text for pk in ranked},
        finish_reasons={pk: completions[pk].finish_reason for pk in ranked},
        judgments=judgments,
    )


def _ranked(judgment: Judgment) -> Iterator[int]:
    return (pk for group in judgment.ranking for pk in group)


def canonical_bytes(judged: JudgedComparison) -> bytes:
    """All of this comparison that decides an export, as one line; the snapshot's hash is over these lines."""
    content: dict[str, Any] = {
        "comparison": judged.comparison_id,
        "prompt": judged.prompt.pk,
        "split": judged.prompt.split,
        "messages": judged.prompt.messages,
        "texts": sorted(judged.texts.items()),
        "finish_reasons": sorted(judged.finish_reasons.items()),
        "judgments": [
            [judgment.pk, judgment.annotator_id, judgment.kind, judgment.ranking, judgment.strengths]
            for judgment in judged.judgments
        ],
    }
    line = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return line.encode() + b"\n"


class Tally:
    """Counts what a snapshot holds and yields while its comparisons stream past."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.by_kind: Counter[str] = Counter()
        self.annotators: set[int] = set()
        self.prompts: set[int] = set()

    def add(self, judged: JudgedComparison) -> None:
        split = judged.prompt.split
        rankings = judged.rankings()
        consensus = consensus_of(rankings)
        self.sums += Counter(
            {
                "comparisons": 1,
                "judgments": len(rankings),
                f"pairs_{split}": sum(len(pairs_of(ranking)) for ranking in rankings),
                "ties": sum(len(tied_pairs(ranking)) for ranking in rankings),
                f"majority_pairs_{split}": len(consensus.pairs),
                "majority_ties": consensus.ties,
                "majority_conflicts": consensus.conflicts,
            }
        )
        self.by_kind.update(judgment.kind for judgment in judged.judgments)
        self.annotators.update(judgment.annotator_id for judgment in judged.judgments)
        self.prompts.add(judged.prompt.pk)

    def counts(self) -> dict[str, Any]:
        """As stored in ``DatasetSnapshot.counts``.

        ``pairs_*`` and ``ties`` count each judgment's own pairs; ``majority_*`` one per pair of completions
        over all annotators, and what their consensus dropped (consensus.py).
        """
        names = ("judgments", "comparisons", "pairs_train", "pairs_eval", "ties", "majority_pairs_train")
        names += ("majority_pairs_eval", "majority_ties", "majority_conflicts")
        return {
            **{name: self.sums[name] for name in names},
            "annotators": len(self.annotators),
            "prompts": len(self.prompts),
            "by_kind": {kind: self.by_kind[kind] for kind in JudgeKind.values if kind in self.by_kind},
        }


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
