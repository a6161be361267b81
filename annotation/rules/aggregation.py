"""Which of a comparison's pairs become data, and how several judgments of one become a preference with a probability.

Pure rules, no database here; the counting itself is in consensus.py, annotators' accuracies in figures/dawid_skene.py.

- *Majority*: the probability of a pair is the plain share of its judgments, a tie half a vote for each side: 2 of 3 are
  0.667, and one alone is 1. Not smoothed: that is the soft label of Uma et al. (2021, JAIR 72), and
  who wants a prior can add one, since the votes stand beside it.
- *Dawid-Skene* (1979, Applied Statistics 28): each vote weighs log(p / (1 - p)), where p is how often its annotator is
  estimated to be right; the probability is that of the true order, given all votes and no preference beforehand. A
  tie is no vote. Nobody weighs less than nothing: a vote is never turned around.

Under both a pair in which more than half see no difference is a tie, and what a reviewer decided is certain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import exp, log
from types import MappingProxyType

from annotation.rules.ranking import Strength

DIGITS = 6  # of a probability: what the last bits of exp() are differs from machine to machine


class Aggregation(StrEnum):
    MAJORITY = "majority"
    DAWID_SKENE = "dawid_skene"


class OneRowPer(StrEnum):
    JUDGMENT = "judgment"
    PAIR = "pair"


# Weakest first.
LEVELS = (
    Strength.NEGLIGIBLY_BETTER,
    Strength.SLIGHTLY_BETTER,
    Strength.BETTER,
    Strength.SIGNIFICANTLY_BETTER,
)


@dataclass(frozen=True)
class PairRule:
    """What is asked of a pair before it becomes data.

    ``agreement``: 0.5 to 1; the least share of a pair's judgments that must say what a row says (with Dawid-Skene the
    least probability), compared in whole per cents, so that 2 of 3 are 67 %. At 0.5 nothing is asked. What is asked of
    an order is asked of a tie too, where a layout has rows of ties; and where a strength is asked, no tie is a row.
    ``accuracies``: by annotator's id, for Dawid-Skene.
    """

    agreement: float = 0.5
    min_strength: Strength = Strength.NEGLIGIBLY_BETTER
    aggregation: Aggregation = Aggregation.MAJORITY
    accuracies: Mapping[int, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def asks_agreement(self) -> bool:
        return self.agreement > 0.5

    @property
    def asks_strength(self) -> bool:
        return self.min_strength != LEVELS[0]

    def is_agreed(self, share: float) -> bool:
        return not self.asks_agreement or round(100 * share) >= round(100 * self.agreement)

    def is_strong(self, strength: Strength) -> bool:
        return LEVELS.index(strength) >= LEVELS.index(self.min_strength)

    def weight_of(self, annotator_id: int) -> float:
        """What a vote of this annotator adds to the log odds; 0 for whom nothing is known of."""
        accuracy = self.accuracies.get(annotator_id, 0.5)
        return log(accuracy / (1 - accuracy))


ANY_PAIR = PairRule()


def probability_of(log_odds: float) -> float:
    return round(1 / (1 + exp(-log_odds)), DIGITS)


def share_of(votes: int, against: int, ties: int) -> float:
    """How probable it is that the one is better, by the judgments alone: a tie is half a vote for each."""
    return round((votes + ties / 2) / (votes + against + ties), DIGITS)
