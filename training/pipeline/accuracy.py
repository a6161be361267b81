"""How often a reward model agrees with the people: exact accuracies with intervals that draw whole prompts.

Pure figures: no model here. A verdict is 1.0 for a right pair and 0.0 for a wrong one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from training.pipeline.intervals import Interval, clustered_share
from training.pipeline.preferences import STRENGTHS, Pair

RESAMPLES = 10_000  # of the bootstrap


@dataclass(frozen=True)
class Accuracy:
    """A share of pairs, with the ends of its 95 % interval."""

    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class AtStrength:
    """The accuracy on the pairs of one strength. Llama 2 (arXiv 2307.09288, section 3.2.2) found it to rise with it."""

    strength: str
    pairs: int
    accuracy: float
    low: float
    high: float


def verdicts_by(scores: Sequence[float]) -> list[float]:
    """A verdict for each pair, from the scores of its sides, chosen first; equal scores are not right."""
    return [float(chosen > rejected) for chosen, rejected in zip(scores[::2], scores[1::2], strict=True)]


def verdicts_by_length(pairs: Sequence[Pair]) -> list[float]:
    """What one would get without reading: the longer completion wins, in characters; equal lengths are half right."""
    lengths = [(len(pair.chosen.strip()), len(pair.rejected.strip())) for pair in pairs]
    return [0.5 if chosen == rejected else float(chosen > rejected) for chosen, rejected in lengths]


def accuracy_of(pairs: Sequence[Pair], verdicts: Sequence[float], *, seed: int) -> Accuracy | None:
    """The share of pairs that are right. The interval draws prompts, since pairs of one prompt resemble each other;
    None without pairs.
    """
    by_prompt: dict[str, list[float]] = defaultdict(list)
    for pair, verdict in zip(pairs, verdicts, strict=True):
        by_prompt[pair.prompt_id].append(verdict)
    interval = clustered_share(list(by_prompt.values()), resamples=RESAMPLES, seed=seed)
    return interval and _named(interval)


def accuracy_by_strength(pairs: Sequence[Pair], verdicts: Sequence[float], *, seed: int) -> list[AtStrength]:
    """The accuracy at each strength that there is, the strongest first."""
    levels = []
    for strength in reversed(STRENGTHS):
        at = [i for i, pair in enumerate(pairs) if pair.strength == strength]
        found = accuracy_of([pairs[i] for i in at], [verdicts[i] for i in at], seed=seed)
        if found:
            levels.append(AtStrength(strength, len(at), found.accuracy, found.low, found.high))
    return levels


def _named(interval: Interval) -> Accuracy:
    return Accuracy(interval.value, interval.low, interval.high)
