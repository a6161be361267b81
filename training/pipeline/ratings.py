"""Bradley-Terry ratings of all the versions that have met, round after round. Pure figures.

The model (Bradley and Terry 1952) gives each version a strength such that i beats j with chance sigmoid(i - j). They
are fitted by maximum likelihood with a prior of one imagined tie of every version with the anchor, as in BayesElo: a
version that always wins stays finite, and a version that met few is drawn towards the anchor. On Elo's scale, where
400 points are odds of ten to one, with the anchor, the policy that the schedule began with, at 0.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from training.pipeline.intervals import CONFIDENCE

POINTS = 400 / np.log(10)
IMAGINED_TIES = 1.0  # of each version with the anchor, in prompts
LEAST_VERSIONS = 3  # of two, the win rate says all
AT_MOST_RESAMPLES = 1000  # each is an optimisation of its own


@dataclass(frozen=True)
class Rating:
    """A version's rating with the ends of its 95 % interval; the anchor's is 0 by definition."""

    name: str
    rating: float
    low: float
    high: float


def ratings_of(
    rows: Iterable[Mapping[str, Any]], *, judge: str, anchor: str, resamples: int, seed: int
) -> list[Rating] | None:
    """Ratings from rows of `judged.jsonl`, best first; None while fewer than three versions met.

    Only rows of ``judge`` that name both versions count. A prompt on which two versions met counts once, however many
    completions it has. The interval is a Bayesian bootstrap's (Rubin 1981), which weighs whole prompts anew, at most
    1,000 times, and with them the imagined ties, win and loss each on its own: what was unanimous is then not certain.
    """
    points = _points(rows, judge)
    names = sorted({name for pair in points for name in pair[:2]})
    if len(names) < LEAST_VERSIONS:
        return None
    anchored = names.index(anchor) if anchor in names else 0
    wins = _wins(points, names)  # (prompts, versions, versions)
    strengths = fit(wins.sum(axis=0), anchored)
    generator = np.random.default_rng(seed)
    resampled = [
        fit(
            np.tensordot(generator.standard_exponential(len(wins)), wins, axes=1),
            anchored,
            imagined=generator.standard_exponential((2, len(names))),
            start=strengths,
        )
        for _ in range(min(resamples, AT_MOST_RESAMPLES))
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    found = [
        Rating(name, *(float(POINTS * each[i]) for each in (strengths, low, high))) for i, name in enumerate(names)
    ]
    return sorted(found, key=lambda each: -each.rating)


def fit(
    wins: np.ndarray, anchored: int, *, imagined: np.ndarray | None = None, start: np.ndarray | None = None
) -> np.ndarray:
    """Strengths, in natural logarithms of odds, by ``wins[i, j]``: how often i beat j, a tie half for each.

    ``imagined``, (2, versions): what the halves of each version's imagined tie weigh, the won one and the lost one.
    """
    count = len(wins)
    free = [i for i in range(count) if i != anchored]
    won, lost = IMAGINED_TIES / 2 * (np.ones((2, count)) if imagined is None else imagined)
    wins = wins.astype(float)
    wins[free, anchored] += won[free]
    wins[anchored, free] += lost[free]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        strengths = np.zeros(count)
        strengths[free] = values
        gaps = strengths[:, None] - strengths[None, :]
        missed = wins * expit(-gaps)  # the log-likelihood's slope in each gap
        return -(wins * log_expit(gaps)).sum(), (missed.sum(axis=0) - missed.sum(axis=1))[free]

    first = np.zeros(len(free)) if start is None else start[free]
    strengths = np.zeros(count)
    strengths[free] = minimize(loss, first, jac=True, method="L-BFGS-B", options={"gtol": 1e-6, "ftol": 1e-12}).x
    return strengths


def _points(rows: Iterable[Mapping[str, Any]], judge: str) -> dict[tuple[str, str, str], list[float]]:
    """The first version's points by (version, version, prompt); each row is a duel of the new one with another."""
    points: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in rows:
        new, other = row.get("name_new"), row.get("name_opponent")
        if row.get("judge") == judge and new and other and new != other:
            points[new, other, str(row["prompt_id"])].append(float(row["verdict"]))
    return points


def _wins(points: Mapping[tuple[str, str, str], Sequence[float]], names: Sequence[str]) -> np.ndarray:
    prompts = {prompt: i for i, prompt in enumerate(sorted({key[2] for key in points}))}
    number = {name: i for i, name in enumerate(names)}
    wins = np.zeros((len(prompts), len(names), len(names)))
    for (new, other, prompt), verdicts in points.items():
        share = float(np.mean(verdicts))
        wins[prompts[prompt], number[new], number[other]] += share
        wins[prompts[prompt], number[other], number[new]] += 1 - share
    return wins
