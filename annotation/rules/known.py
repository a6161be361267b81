"""Score a ranking against a known answer, for gold, qualification and training. Pure: no database, no request."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

from annotation.rules.ranking import Ranking, places, relation


def known_ranking(stored: Sequence[Sequence[int]]) -> Ranking:
    """Comparison.known_ranking as a Ranking."""
    return Ranking(tuple(map(tuple, stored)))


def pairs_right(known: Ranking, given: Ranking | None) -> tuple[int, int]:
    """(right, total) over all pairs of the known ranking's items.

    A pair is right when it stands the same way in both: above, tied or below. So a tie where the known answer has a
    winner is wrong, and so is a winner where it has a tie. What only ``given`` has (an edit) does not matter; a pair
    of which ``given`` lacks an item is wrong. Without an answer (None: it was skipped) all are wrong.
    """
    known_places, given_places = places(known.groups), places(given.groups) if given else {}
    pairs = list(combinations(known.items, 2))
    return sum(_relation(known_places, pair) == _relation(given_places, pair) for pair in pairs), len(pairs)


def share_right(scores: Sequence[tuple[int, int]]) -> float | None:
    """The share of right pairs over several answers, each pair counting the same; None when there is none."""
    total = sum(total for _, total in scores)
    return sum(right for right, _ in scores) / total if total else None


def _relation(place: Mapping[Hashable, int], pair: tuple[Hashable, Hashable]) -> int | None:
    """None when one of the pair is missing."""
    return relation(*(place[item] for item in pair)) if all(item in place for item in pair) else None
