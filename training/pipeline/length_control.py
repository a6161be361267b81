"""Win rates as they would be if both policies wrote at the same length. Pure figures.

Judges prefer longer answers, and policies learn it. After length-controlled AlpacaEval (Dubois et al. 2024, arXiv
2404.04475, eq. 2): the verdict is regressed on the difference of the lengths,

    P(new wins) = sigmoid(quality + slope * tanh((tokens_new - tokens_other) / s)),

s the standard deviation of the differences, and the win rate is read off at a difference of 0: sigmoid(quality). Left
out are its term for each prompt's difficulty, which takes the verdicts of many policies to fit, and the two gamed
baselines that it is regularised with. Instead a weak prior on both coefficients keeps them finite where one of them
alone would explain everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.pipeline.intervals import CONFIDENCE, Interval

PRIOR = 0.01  # precision of the coefficients' normal prior: a standard deviation of 10
AT_MOST_RESAMPLES = 2000  # each is a regression of its own
ROWS_TOGETHER = 2_000_000  # numbers in memory at once, some 100 MB
LARGEST_STEP = 2.0  # of Newton's method, which overshoots from where nearly all are wins
STEPS = 50
CLOSE_ENOUGH = 1e-8


@dataclass(frozen=True)
class Duels:
    """Verdicts with the lengths of both sides, and whose prompt each is."""

    verdicts: Sequence[float]  # 1.0, 0.5 or 0.0
    tokens_new: Sequence[int]
    tokens_other: Sequence[int]
    clusters: Sequence[Sequence[int]]  # the positions of each prompt's duels


def length_controlled(duels: Duels, *, resamples: int, seed: int) -> Interval | None:
    """The win rate at equal lengths, with a percentile bootstrap that draws whole prompts, at most 2,000 times.

    Each prompt counts once. None where no regression can tell: a single prompt, or a difference that is always the
    same and not 0.
    """
    feature = _feature(np.subtract(duels.tokens_new, duels.tokens_other))
    if feature is None or len(duels.clusters) < 2:
        return None
    verdicts = np.asarray(duels.verdicts, dtype=float)
    prompt_of, share = np.zeros(len(verdicts), dtype=int), np.zeros(len(verdicts))
    for number, positions in enumerate(duels.clusters):
        prompt_of[list(positions)] = number
        share[list(positions)] = 1 / len(positions)
    (value,) = _rates_at_equal_length(feature, verdicts, share[None, :])
    rates = []
    generator = np.random.default_rng(seed)
    prompts, left = len(duels.clusters), min(resamples, AT_MOST_RESAMPLES)
    while left > 0:
        together = min(left, max(1, ROWS_TOGETHER // len(verdicts)))
        drawn = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=together)  # (together, prompts)
        rates.append(_rates_at_equal_length(feature, verdicts, drawn[:, prompt_of] * share))
        left -= together
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(rates), [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def _feature(difference: np.ndarray) -> np.ndarray | None:
    if not difference.any():
        return np.zeros(len(difference))
    spread = difference.std(ddof=1) if len(difference) > 1 else 0.0
    return np.tanh(difference / spread) if spread > 0 else None


def _rates_at_equal_length(feature: np.ndarray, verdicts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sigmoid(quality) of one weighted logistic regression for each row of weights, by Newton's method.

    feature, verdicts: (duels,); weights: (regressions, duels); returns (regressions,).
    """
    quality, slope = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(STEPS):
        chance = _sigmoid(quality[:, None] + slope[:, None] * feature)
        error = weights * (verdicts - chance)
        curve = weights * chance * (1 - chance)
        # The gradient and the 2 x 2 matrix of second derivatives of the log posterior, a regression each.
        g_quality, g_slope = error.sum(axis=1) - PRIOR * quality, error @ feature - PRIOR * slope
        h_quality, h_both = curve.sum(axis=1) + PRIOR, curve @ feature
        h_slope = curve @ feature**2 + PRIOR
        determinant = h_quality * h_slope - h_both**2
        step_quality = (h_slope * g_quality - h_both * g_slope) / determinant
        step_slope = (h_quality * g_slope - h_both * g_quality) / determinant
        size = np.hypot(step_quality, step_slope)
        shorter = np.minimum(1.0, LARGEST_STEP / np.maximum(size, LARGEST_STEP))
        quality, slope = quality + shorter * step_quality, slope + shorter * step_slope
        if size.max() < CLOSE_ENOUGH:
            break
    return _sigmoid(quality)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))  # as 1 / (1 + exp(-x)), and without an overflow
