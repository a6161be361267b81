"""The pairs that judgments were given for and that teach nothing, each with the reason: no row is lost silently.

The rules are the consensus's (`annotation.rules.consensus`), which counts such pairs; here they have names. Listed too
is what nobody judged whose judgments the round's stages count.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from annotation.datasets.frozen import JudgedComparison, ranking_of
from annotation.rules.consensus import agreed_ties, consensus_of


def undecided_rows(judged: JudgedComparison, *, ties_are_learned: bool = False) -> Iterator[dict[str, Any]]:
    """A row for each pair that somebody ranked and of which no row to learn from is made, in a fixed order.

    "conflict": no order has a majority, "tie": most see no difference, "unsafe_over_safe": it is not to be learned.
    ``ties_are_learned``: there are rows of those that may be.
    """
    rankings = [ranking_of(judgment) for judgment in judged.counting]
    ranked = {pair for ranking in rankings for pair in _pairs_in(ranking.groups)}
    chosen = {_unordered(pair.chosen, pair.rejected) for pair in consensus_of(rankings).pairs}
    tied = set(agreed_ties(rankings))
    learned = {_unordered(pair.chosen, pair.rejected) for pair in judged.consensus().pairs}
    if ties_are_learned:
        learned |= set(judged.ties())
    for pair in sorted(ranked - learned):
        yield _row(judged, pair, "unsafe_over_safe" if pair in chosen else "tie" if pair in tied else "conflict")


def uncounted_rows(judged: JudgedComparison) -> Iterator[dict[str, Any]]:
    """A row for each pair that could be learned from, did the round's stages not count people alone."""
    for pair in sorted(_unordered(pair.chosen, pair.rejected) for pair in judged.consensus().pairs):
        yield _row(judged, pair, "not_judged_by_people")


def _row(judged: JudgedComparison, pair: tuple[int, int], reason: str) -> dict[str, Any]:
    return {
        "reason": reason,
        "prompt_id": str(judged.prompt.pk),
        "comparison_id": judged.comparison_id,
        "split": judged.prompt.split,
        "prompt": judged.prompt.messages,
        "texts": [judged.completions[pk].text for pk in pair],
    }


def _pairs_in(groups) -> Iterator[tuple[int, int]]:
    return combinations(sorted(pk for group in groups for pk in group), 2)


def _unordered(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)
