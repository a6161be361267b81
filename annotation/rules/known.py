"""Score a ranking against a known answer, for gold, qualification and training. Pure: no database, no request."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

from annotation.rules.ranking import Ranking


def known_ranking(stored: Sequence[Sequence[int]]) -> Ranking:
    """Comparison.known_ranking as a Ranking."""
    return Ranking(tuple(map(tuple, stored)))


def pairs_right(known: Ranking, given: Ranking | None) -> tuple[int, int]:
    """(right, total) over all pairs of the known ranking's items.

    A pair is right when it stands the same way in both: above, tied or below. So a tie where the known answer has a
    winner is wrong, and so is a winner where it has a tie. What only ``given`` has (an edit) does not matter; a pair
    of which ``given`` lacks an item is wrong. Without an answer (None: it was skipped) all are wrong.
    """
    known_places, given_places = _places(known), _places(given) if given else {}
    pairs = list(combinations(known.items, 2))
    return sum(_relation(known_places, pair) == _relation(given_places, pair) for pair in pairs), len(pairs)


def share_right(scores: Sequence[tuple[int, int]]) -> float | None:
    """The share of right pairs over several answers, each pair counting the same; None when there is none."""
    total = sum(total for _, total in scores)
    return sum(right for right, _ in scores) / total if total else None


def _places(ranking: Ranking) -> dict[Hashable, int]:
    return {item: place for place, group in enumerate(ranking.groups) for item in group}


def _relation(places: Mapping[Hashable, int], pair: tuple[Hashable, Hashable]) -> int | None:
    """-1 when the first of the pair stands above, 0 when they are tied, 1 below; None when one is missing."""
    if any(item not in places for item in pair):
        return None
    first, second = (places[item] for item in pair)
    return (first > second) - (first < second)
