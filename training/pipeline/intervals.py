"""The intervals of accuracies. Pure figures; a win rate, which knows ties, has one of its own (`win_intervals`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from training.pipeline.win_intervals import CONFIDENCE

DRAWN_AT_ONCE = 4_000_000  # clusters, of eight bytes: bounds the memory of a bootstrap of many clusters


@dataclass(frozen=True)
class Interval:
    """A figure with the two ends of its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval | None:
    """The share of successes with Wilson's score interval (Wilson 1927); None for no trials."""
    if trials == 0:
        return None
    found = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(successes / trials, float(found.low), float(found.high))


def clustered_share(clusters: Sequence[Sequence[float]], *, resamples: int, seed: int) -> Interval | None:
    """The mean of all values, which are from 0 to 1, with a percentile bootstrap that draws whole clusters.

    Pairs of one prompt resemble each other, so prompts are what was drawn at random, and what is drawn again. A
    cluster counts as often as it has values: an accuracy is the share of pairs that are right. Where every value is 0,
    or every value 1, the bootstrap would claim certainty; the interval is then Wilson's, of as many trials as there
    are clusters. None without values.
    """
    sizes = np.array([len(cluster) for cluster in clusters if len(cluster)], dtype=float)  # (clusters,)
    if not len(sizes):
        return None
    sums = np.array([np.sum(cluster) for cluster in clusters if len(cluster)])  # (clusters,)
    share = float(sums.sum() / sizes.sum())
    if share in (0.0, 1.0):
        return wilson(len(sizes) if share else 0, len(sizes))
    low, high = _ends(sums, sizes, resamples=resamples, seed=seed)
    return Interval(share, low, high)


def _ends(sums: np.ndarray, sizes: np.ndarray, *, resamples: int, seed: int) -> tuple[float, float]:
    """The ends of the interval of sum(sums) / sum(sizes), each (clusters,), when clusters are drawn again."""
    dice = np.random.default_rng(seed)
    ratios = np.empty(resamples)
    at_once = max(1, DRAWN_AT_ONCE // len(sums))
    for start in range(0, resamples, at_once):
        drawn = dice.integers(len(sums), size=(min(at_once, resamples - start), len(sums)))
        ratios[start : start + len(drawn)] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)
