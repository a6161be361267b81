"""How often one writer's completions are preferred to another's, for every two writers. Pure: arrays in, values out.

What is counted is pairs of completions within judgments: a judgment of four completions by two writers can hold up to
four. The rate is the share of pairs won, a tie counting half. It has two intervals. Wilson's takes every pair for
independent, as most published tables do; the other draws prompts anew (resampling.py), since what is said of one prompt
hangs together, and is the one to trust.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from annotation.figures.intervals import wilson
from annotation.figures.panels import Judgments
from annotation.figures.resampling import MIN_PROMPTS, Entries, Resampling

MAX_WRITERS = 20  # in one report: 190 pairs. Of more, those that met most often
UNKNOWN = -1  # a completion of which nobody knows who wrote it


@dataclass(frozen=True)
class WinRate:
    """``first`` against ``second``, as places in WinRates.writers; ``low`` and ``high`` by prompts."""

    first: int
    second: int
    wins: int
    ties: int
    losses: int
    prompts: int
    value: float
    wilson_low: float
    wilson_high: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class WinRates:
    """``writers`` from the strongest on, by the mean of their rates; in ``pairs`` the stronger one is first."""

    writers: Sequence[str]
    left_out: int  # writers beyond MAX_WRITERS
    pairs: Sequence[WinRate]


@dataclass(frozen=True)
class Meetings:
    """One row for each two completions of different writers in a judgment, the writer with the lower code first."""

    prompts: np.ndarray
    first: np.ndarray
    second: np.ndarray
    score: np.ndarray  # 1 where the first is preferred, a half for a tie, else 0


def win_rates(judgments: Judgments, writers: np.ndarray, names: Sequence[str], resampling: Resampling) -> WinRates:
    """``writers``: (judgments, 9) codes into ``names``, as ``judgments.places``; UNKNOWN where nobody knows."""
    met = _meetings(judgments, writers)
    counts = np.bincount(np.concatenate([met.first, met.second]), minlength=len(names))
    often = np.argsort(-counts, kind="stable")[:MAX_WRITERS]
    kept = np.sort(often[counts[often] > 0])
    met = _only(met, kept)
    couples, of = np.unique(np.stack([met.first, met.second]), axis=1, return_inverse=True)
    rates = _rates(met, of.ravel(), couples.shape[1], resampling)
    order = _strongest_first(couples, rates, len(kept))
    place = np.argsort(order)
    pairs = [
        _oriented(place[first], place[second], rate) for (first, second), rate in zip(couples.T, rates, strict=True)
    ]
    return WinRates(
        writers=[names[kept[writer]] for writer in order],
        left_out=int((counts > 0).sum()) - len(kept),
        pairs=sorted(pairs, key=lambda pair: (pair.first, pair.second)),
    )


def _meetings(judgments: Judgments, writers: np.ndarray) -> Meetings:
    parts: list[tuple[np.ndarray, ...]] = []
    places = judgments.places
    for one, other in combinations(range(places.shape[1]), 2):
        first, second = writers[:, one], writers[:, other]
        met = (places[:, other] > 0) & (first != UNKNOWN) & (second != UNKNOWN) & (first != second)
        better = np.sign(places[met, other].astype(np.int8) - places[met, one])  # 1: the first one
        first, second = first[met], second[met]
        swapped = first > second
        score = (1 + np.where(swapped, -better, better)) / 2
        parts.append((judgments.prompts[met], np.minimum(first, second), np.maximum(first, second), score))
    return Meetings(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _only(met: Meetings, kept: np.ndarray) -> Meetings:
    """The meetings of these writers alone, who are called 0, 1, 2 ... from here on."""
    both = np.isin(met.first, kept) & np.isin(met.second, kept)
    first, second = (np.searchsorted(kept, codes[both]) for codes in (met.first, met.second))
    return Meetings(met.prompts[both], first, second, met.score[both])


def _rates(met: Meetings, of: np.ndarray, count: int, resampling: Resampling) -> list[WinRate]:
    """One for each couple of writers, not yet oriented; ``of``: the couple of each meeting."""
    if not count:
        return []

    def entries() -> Iterator[Entries]:
        yield Entries(met.prompts, of * 2, met.score)
        yield Entries(met.prompts, of * 2 + 1, np.ones(len(of)))

    def figure(sums: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return sums[:, 0::2] / sums[:, 1::2]

    value, low, high = resampling.estimates(entries(), 2 * count, figure)
    wins, ties, losses = (np.bincount(of[met.score == score], minlength=count) for score in (1, 0.5, 0))
    prompts = np.bincount(np.unique(np.stack([of, met.prompts]), axis=1)[0], minlength=count)
    wilson_low, wilson_high = wilson(value, wins + ties + losses)
    return [
        WinRate(
            0, 1, int(wins[n]), int(ties[n]), int(losses[n]), int(prompts[n]), float(value[n]),
            float(wilson_low[n]), float(wilson_high[n]), *_ends(low[n], high[n], prompts[n]),
        )
        for n in range(count)
    ]  # fmt: skip


def _ends(low: float, high: float, prompts: int) -> tuple[float | None, float | None]:
    if prompts < MIN_PROMPTS or np.isnan(low) or np.isnan(high):
        return None, None
    return float(low), float(high)


def _strongest_first(couples: np.ndarray, rates: Sequence[WinRate], count: int) -> np.ndarray:
    """The writers by the mean of their rates against those whom they met, each opponent counting once."""
    sums, opponents = np.zeros(count), np.zeros(count)
    for (first, second), rate in zip(couples.T, rates, strict=True):
        sums[first] += rate.value
        sums[second] += 1 - rate.value
        opponents[[first, second]] += 1
    return np.argsort(-sums / np.maximum(opponents, 1), kind="stable")


def _oriented(first: int, second: int, rate: WinRate) -> WinRate:
    """With the stronger of the two in front."""
    if first < second:
        return replace(rate, first=int(first), second=int(second))
    return replace(
        rate,
        first=int(second),
        second=int(first),
        wins=rate.losses,
        losses=rate.wins,
        value=1 - rate.value,
        wilson_low=1 - rate.wilson_high,
        wilson_high=1 - rate.wilson_low,
        low=None if rate.high is None else 1 - rate.high,
        high=None if rate.low is None else 1 - rate.low,
    )
