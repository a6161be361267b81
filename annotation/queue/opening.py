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
from annotation.queue import overlap
from annotation.rules.protocol import MAX_COMPLETIONS
from sampling.models import Completion

BATCH = 500  # comparisons written in one go


@dataclass(frozen=True)
class OpenedComparisons:
    opened: int
    already_open: int
    skipped: int  # prompts with fewer than two different completions

    def __str__(self) -> str:
        said = [f"{self.opened} comparison{'' if self.opened == 1 else 's'} opened"]
        if self.already_open:
            said.append(f"{self.already_open} {'was' if self.already_open == 1 else 'were'} open already")
        if self.skipped:
            prompts = f"{self.skipped} prompt{'' if self.skipped == 1 else 's'}"
            said.append(f"{prompts} left out (fewer than two different completions)")
        return ", ".join(said)


@dataclass(frozen=True)
class _Candidate:
    prompt_id: int
    completion_ids: tuple[int, ...]

    @property
    def content_key(self) -> str:
        return content_key_of(self.completion_ids)


def content_key_of(completion_ids: Iterable[int]) -> str:
    """What a comparison is known by in its project: these completions, in whatever order."""
    return hashlib.sha256(",".join(map(str, sorted(completion_ids))).encode()).hexdigest()


@transaction.atomic
def open_comparisons(
    *,
    project: Project,
    completions: QuerySet[Completion],
    k: int,
    priority: int = 0,
    group: str = "",
    on_progress: Callable[[int], None] | None = None,
) -> OpenedComparisons:
    """Open the comparisons that these completions make: by prompt, up to ``k`` in each, equal texts once.

    ``on_progress`` is told how many completions were read so far.
    """
    if not 2 <= k <= MAX_COMPLETIONS:
        raise ValueError(f"K is {k}; a comparison shows 2 to {MAX_COMPLETIONS} completions.")
    # One at a time in a project, so that the figures that are returned are right.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    tally = {"opened": 0, "already_open": 0, "skipped": 0}
    candidates = _candidates(completions, k, tally, on_progress)
    while batch := list(islice(candidates, BATCH)):
        opened = _open_batch(project, batch, priority, group)
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


def _open_batch(project: Project, batch: Sequence[_Candidate], priority: int, group: str) -> int:
    by_key = {candidate.content_key: candidate for candidate in batch}
    asked_for = _ask_for_imported(project, by_key, priority, group)
    known = set(project.comparisons.filter(content_key__in=by_key).values_list("content_key", flat=True))
    made = Comparison.objects.bulk_create(
        Comparison(
            project=project,
            prompt_id=candidate.prompt_id,
            content_key=key,
            priority=priority,
            group=group,
            wanted=judgments_wanted(project, key),
        )
        for key, candidate in by_key.items()
        if key not in known
    )
    shown = Comparison.completions.through
    shown.objects.bulk_create(
        shown(comparison_id=comparison.pk, completion_id=completion_id)
        for comparison in made
        for completion_id in by_key[comparison.content_key].completion_ids
    )
    make_slots(made)
    return len(made) + asked_for


def _ask_for_imported(project: Project, keys: Iterable[str], priority: int, group: str) -> int:
    """Let what an import brought be judged here too: it is there, but nobody has been asked for it yet.

    As if a reviewer had asked: no change of the overlap makes it fewer. How many there are.
    """
    imported = list(
        project.comparisons.work().filter(content_key__in=keys, data_import__isnull=False, wanted=0).order_by("pk")
    )
    if not imported:
        return 0
    overlap.one_change_at_a_time(project.pk)
    for comparison in imported:
        comparison.wanted = comparison.wanted_at_least = judgments_wanted(project, comparison.content_key)
        comparison.priority, comparison.group = priority, group
    Comparison.objects.bulk_update(imported, ["wanted", "wanted_at_least", "priority", "group"])
    make_slots(imported)
    return len(imported)


def judgments_wanted(project: Project, content_key: str) -> int:
    """How many judgments a comparison is to have: the overlap for the project's random share, else one.

    By the comparison's own hash, so that the share stays the same ones however often it is asked, and grows to
    include more when the share grows.
    """
    draw = int(content_key[:8], 16) % 100
    return project.overlap if draw < project.overlap_percent else 1


def make_slots(comparisons: Iterable[Comparison]) -> None:
    """Give each comparison the slots that it wants and has not."""
    Slot.objects.bulk_create(
        (
            Slot(
                comparison_id=comparison.pk, project_id=comparison.project_id, number=number,
                priority=comparison.priority, group=comparison.group, free_from=Now(),
            )
            for comparison in comparisons
            for number in range(1, comparison.wanted + 1)
        ),
        ignore_conflicts=True,  # a slot that is there already stays as it is
    )  # fmt: skip
