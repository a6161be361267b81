"""Open comparisons: which of a prompt's completions are shown together, and how many judgments they wait for.

Repeating it opens nothing twice. Who works on them, and when, is the queue's to decide.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from annotation.models import Comparison, Project, Slot
from sampling.models import Completion

MAX_COMPLETIONS = 26  # one letter each on the page
BATCH = 500  # comparisons written in one go


@dataclass(frozen=True)
class OpenedComparisons:
    opened: int
    already_open: int
    skipped: int  # prompts with fewer than two different completions

    def __str__(self) -> str:
        return (
            f"{self.opened} comparisons opened, {self.already_open} were already open, "
            f"{self.skipped} prompts skipped (fewer than two different completions)"
        )


@dataclass(frozen=True)
class _Candidate:
    prompt_id: int
    completion_ids: tuple[int, ...]

    @property
    def content_key(self) -> str:
        return hashlib.sha256(",".join(map(str, sorted(self.completion_ids))).encode()).hexdigest()


@transaction.atomic
def open_comparisons(
    *,
    project: Project,
    completions: QuerySet[Completion],
    k: int,
    priority: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> OpenedComparisons:
    """Open the comparisons that these completions make: by prompt, up to ``k`` in each, equal texts once.

    ``on_progress`` is told how many completions were read so far.
    """
    if not 2 <= k <= MAX_COMPLETIONS:
        raise ValueError(f"K is {k}; a comparison shows 2 to {MAX_COMPLETIONS} completions.")
    # One at a time in a project, so that the figures that are returned are right.
    Project.objects.select_for_update().get(pk=project.pk)
    tally = {"opened": 0, "already_open": 0, "skipped": 0}
    candidates = _candidates(completions, k, tally, on_progress)
    while batch := list(islice(candidates, BATCH)):
        opened = _open_batch(project, batch, priority)
        tally["opened"] += opened
        tally["already_open"] += len(batch) - opened
    return OpenedComparisons(**tally)


def _candidates(completions, k, tally, on_progress) -> Iterator[_Candidate]:
    # By index before model, so that several policies meet in one comparison instead of each facing itself.
    rows = completions.order_by("prompt_id", "index", "model_version_id", "pk").values_list("prompt_id", "pk", "text")
    read = 0
    for prompt_id, group in groupby(rows.iterator(chunk_size=2000), key=lambda row: row[0]):
        distinct: dict[str, int] = {}
        for _, pk, text in group:
            distinct.setdefault(" ".join(text.split()), pk)
            read += 1
        if on_progress:
            on_progress(read)
        ids = list(distinct.values())
        # A lone last one has nothing to be compared with: it is left out.
        sets = [ids[start : start + k] for start in range(0, len(ids), k)]
        sets = [chosen for chosen in sets if len(chosen) > 1]
        if not sets:
            tally["skipped"] += 1
        yield from (_Candidate(prompt_id, tuple(chosen)) for chosen in sets)


def _open_batch(project: Project, batch: Sequence[_Candidate], priority: int) -> int:
    by_key = {candidate.content_key: candidate for candidate in batch}
    known = set(project.comparisons.filter(content_key__in=by_key).values_list("content_key", flat=True))
    made = Comparison.objects.bulk_create(
        Comparison(project=project, prompt_id=candidate.prompt_id, content_key=key, priority=priority)
        for key, candidate in by_key.items()
        if key not in known
    )
    shown = Comparison.completions.through
    shown.objects.bulk_create(
        shown(comparison_id=comparison.pk, completion_id=completion_id)
        for comparison in made
        for completion_id in by_key[comparison.content_key].completion_ids
    )
    make_slots(project, [(comparison.pk, comparison.priority) for comparison in made])
    return len(made)


def make_slots(project: Project, comparisons: Iterable[tuple[int, int]]) -> None:
    """Give each comparison (id, priority) the slots that the project's overlap asks for."""
    Slot.objects.bulk_create(
        (
            Slot(comparison_id=pk, project=project, number=number, priority=priority, free_from=Now())
            for pk, priority in comparisons
            for number in range(1, project.overlap + 1)
        ),
        ignore_conflicts=True,  # a slot that is there already stays as it is
    )
