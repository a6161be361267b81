"""The two intervals that a round is judged by. Pure figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

CONFIDENCE = 0.95


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


def clustered_mean(clusters: Sequence[Sequence[float]], *, resamples: int, seed: int) -> Interval | None:
    """The mean of the clusters' means, with a percentile bootstrap that draws whole clusters.

    Verdicts on one prompt resemble each other, so prompts are what was drawn at random, and what is drawn
    again. None without clusters.
    """
    if not clusters:
        return None
    means = np.array([np.mean(cluster) for cluster in clusters])  # (clusters,)
    drawn = np.random.default_rng(seed).integers(len(means), size=(resamples, len(means)))
    resampled = means[drawn].mean(axis=1)  # (resamples,)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(means.mean()), float(low), float(high))
