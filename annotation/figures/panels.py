"""Judgments as arrays, for the figures of agreement and of annotators. Pure: no database.

Each judgment places the K completions of a comparison. A place is a mid-rank: those that are tied share the mean of
the ranks that they take up, so that a tie lies between the places it may stand for. Dense ranks would call "all
equal" as good as first. Completions are told apart by id, never by where they were displayed. An edit that an
annotator wrote is left out, for the others never saw it; "all are bad" changes nothing, the ranking counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np


@dataclass(frozen=True)
class Judgments:
    """One row for each judgment, in arrays of one length.

    ``places``: (judgments, 9) of int8; twice the mid-rank of the comparison's completions in ascending order of
    their ids, 0 beyond its K. Twice, so that all are whole numbers.
    """

    prompts: np.ndarray
    comparisons: np.ndarray
    annotators: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class Panel:
    """The comparisons with the same K that the same number of annotators judged, at least two."""

    prompts: np.ndarray  # (comparisons,)
    annotators: np.ndarray  # (comparisons, judges), ascending
    places: np.ndarray  # (comparisons, judges, K)

    @property
    def judges(self) -> int:
        return self.places.shape[1]

    @property
    def k(self) -> int:
        return self.places.shape[2]

    @property
    def judge_pairs(self) -> Iterator[tuple[int, int]]:
        return combinations(range(self.judges), 2)


def places_of(ranking: Sequence[Sequence[int]], shown: Sequence[int]) -> list[int] | None:
    """Twice the mid-rank of each of ``shown``; None when the ranking leaves one of them out.

    >>> places_of([[7], [5, 9]], [5, 7, 9])  # 7 first, the others share 2 and 3
    [5, 2, 5]
    """
    known = set(shown)
    place: dict[int, int] = {}
    for group in ranking:
        members = [item for item in group if item in known]
        place |= dict.fromkeys(members, 2 * len(place) + len(members) + 1)
    return [place[item] for item in shown] if len(place) == len(known) else None


def panels_of(judgments: Judgments) -> list[Panel]:
    """What several annotators judged, as rectangular arrays."""
    if not len(judgments):
        return []
    k = (judgments.places > 0).sum(axis=1)
    order = np.lexsort((judgments.annotators, k, judgments.comparisons))
    k, comparisons = k[order], judgments.comparisons[order]
    starts = np.flatnonzero(np.r_[True, (comparisons[1:] != comparisons[:-1]) | (k[1:] != k[:-1])])
    judges = np.diff(np.r_[starts, len(order)])
    panels = []
    for kind in np.unique(np.stack([k[starts], judges], axis=1)[judges > 1], axis=0):
        size, together = int(kind[0]), int(kind[1])
        first = starts[(k[starts] == size) & (judges == together)]
        rows = order[first[:, None] + np.arange(together)]
        panels.append(
            Panel(judgments.prompts[rows[:, 0]], judgments.annotators[rows], judgments.places[rows][:, :, :size])
        )
    return panels


def pair_signs(places: np.ndarray) -> np.ndarray:
    """(..., K) places to (..., pairs): 1 where the first of two completions is better, 0 for a tie, else -1."""
    first, second = np.array(list(combinations(range(places.shape[-1]), 2))).T
    return np.sign(places[..., second] - places[..., first]).astype(np.int8)
