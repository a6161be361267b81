"""What a snapshot holds, one comparison after the other: its judgments, which of them count, the pairs that they
yield, and the line that its hash is over.

A reviewer's decision takes precedence: where there is one, it alone yields pairs. The annotators' judgments of that
comparison stay in the snapshot, on record and under its hash, and yield nothing. Which judgments are in a snapshot is
decided in snapshots.py, what the rows look like in exports.py.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, islice
from typing import Any

from annotation.models import DatasetSnapshot, Judgment
from annotation.rules.consensus import (
    Consensus,
    agreed_safety,
    agreed_ties,
    consensus_of,
    without_unsafe_over_safe,
)
from annotation.rules.marks import Mark, Safety, mark_from_json
from annotation.rules.ranking import Pair, Ranking, pairs_of
from sampling.models import Completion, Origin, Prompt

BATCH = 1000  # rows read at once
COMPARISONS_AT_ONCE = 250  # with all their texts: a few kilobytes each


class CompletionLost(Exception):
    """A completion that a frozen judgment ranks is not there any more."""


@dataclass(frozen=True)
class JudgedComparison:
    """One comparison of a snapshot with everything that its rows are made of."""

    comparison_id: int
    prompt: Prompt
    completions: dict[int, Completion]  # those that were ranked, by id
    judgments: list[Judgment]  # by id

    @cached_property
    def counting(self) -> list[Judgment]:
        """The judgments that yield data: the newest decision alone, where there is one."""
        decisions = [judgment for judgment in self.judgments if judgment.is_decision]
        return decisions[-1:] or self.judgments

    @property
    def is_decided(self) -> bool:
        return self.counting[0].is_decision

    def pairs_by(self, judgment: Judgment) -> tuple[list[Pair], int]:
        """The pairs of one judgment, and how many were dropped for an unsafe completion above a safe one."""
        return without_unsafe_over_safe(pairs_of(ranking_of(judgment)), _safety(judgment))

    def consensus(self) -> Consensus:
        """The pairs that most agree on, over the judgments that count."""
        return consensus_of(map(ranking_of, self.counting), self._agreed_safety)

    def ties(self) -> list[tuple[int, int]]:
        """The pairs in which most see no difference, over the judgments that count."""
        return agreed_ties(map(ranking_of, self.counting), self._agreed_safety)

    def judged_by(self, kinds: Collection[str]) -> "JudgedComparison | None":
        """The same with the judgments of these kinds of judges alone; None where there is none."""
        judgments = [judgment for judgment in self.judgments if judgment.kind in kinds]
        return replace(self, judgments=judgments) if judgments else None

    @property
    def _agreed_safety(self) -> dict[int, Safety]:
        return agreed_safety(map(_safety, self.counting))


def ranking_of(judgment: Judgment) -> Ranking:
    return Ranking(judgment.ranking, judgment.strengths)


def marks_of(judgment: Judgment) -> dict[int, Mark]:
    """What the annotator marked, by completion id."""
    return {int(pk): mark_from_json(stored) for pk, stored in judgment.marks.items()}


def judged_comparisons(snapshot: DatasetSnapshot) -> Iterator[JudgedComparison]:
    """The snapshot's judgments by comparison, in a fixed order, in memory one batch at a time."""
    judgments = (
        Judgment.objects.filter(snapshots=snapshot)
        .order_by("comparison_id", "pk")
        .select_related("comparison__prompt")
        .only(
            "annotator_id",
            "kind",
            "is_decision",
            "ranking",
            "strengths",
            "marks",
            "all_bad",
            "comparison__prompt__messages",
            "comparison__prompt__split",
        )
        .iterator(chunk_size=BATCH)
    )
    groups = (list(group) for _, group in groupby(judgments, key=lambda judgment: judgment.comparison_id))
    while batch := list(islice(groups, COMPARISONS_AT_ONCE)):
        ids = {pk for group in batch for judgment in group for pk in _ranked(judgment)}
        completions = Completion.objects.only("text", "finish_reason", "origin", "edit_of_id").in_bulk(ids)
        if missing := ids - completions.keys():
            raise CompletionLost(
                f'Completion {min(missing)}, which a judgment in snapshot "{snapshot}" ranks, was deleted from the '
                "database by hand. Restore it from a backup."
            )
        yield from (_judged_comparison(group, completions) for group in batch)


def canonical_bytes(judged: JudgedComparison) -> bytes:
    """All of this comparison that decides an export, as one line; the snapshot's hash is over these lines.

    What came later (decisions, marks, "all are bad", edits) is in the line only where there is some, so that
    snapshots of earlier days keep their hashes.
    """
    content: dict[str, Any] = {
        "comparison": judged.comparison_id,
        "prompt": judged.prompt.pk,
        "split": judged.prompt.split,
        "messages": judged.prompt.messages,
        "texts": sorted((pk, completion.text) for pk, completion in judged.completions.items()),
        "finish_reasons": sorted((pk, completion.finish_reason) for pk, completion in judged.completions.items()),
        "judgments": [
            [judgment.pk, judgment.annotator_id, judgment.kind, judgment.ranking, judgment.strengths, *_more(judgment)]
            for judgment in judged.judgments
        ],
    }
    if edits := sorted(
        (pk, completion.edit_of_id) for pk, completion in judged.completions.items() if _is_edit(completion)
    ):
        content["edits"] = edits
    line = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return line.encode() + b"\n"


def _more(judgment: Judgment) -> list[dict[str, Any]]:
    more = {"is_decision": judgment.is_decision, "marks": judgment.marks, "all_bad": judgment.all_bad}
    filled = {name: value for name, value in more.items() if value}
    return [filled] if filled else []


def _safety(judgment: Judgment) -> dict[int, Safety]:
    return {pk: mark.safety for pk, mark in marks_of(judgment).items() if mark.safety}


def _is_edit(completion: Completion) -> bool:
    return completion.origin == Origin.PERSON


def _judged_comparison(judgments: list[Judgment], completions: dict[int, Completion]) -> JudgedComparison:
    return JudgedComparison(
        comparison_id=judgments[0].comparison_id,
        prompt=judgments[0].comparison.prompt,
        completions={pk: completions[pk] for judgment in judgments for pk in _ranked(judgment)},
        judgments=judgments,
    )


def _ranked(judgment: Judgment) -> Iterator[int]:
    return (pk for group in judgment.ranking for pk in group)
