"""What several annotators agree on, pair by pair: pure rules, no database here.

The rule, in full. Take two completions of one comparison and everybody who ranked both:

- one is *chosen* when **more than half** of these judgments put it strictly above the other;
- otherwise the pair is dropped and counted: as a *tie* when more than half saw no difference, else as a
  *conflict*;
- its strength is the mean level of the judgments that chose it (those against do not weaken it), rounded to
  the nearest level; exactly half-way goes to the weaker one: rather too small a margin than too large a one.

So one judgment alone decides, two that disagree are a conflict, and two of three always decide.

Where completions are marked as safe or unsafe, a pair whose chosen one is unsafe and whose rejected one is safe is
dropped and counted, as Llama 2 did (arXiv 2307.09288, section 3.1): nobody should learn to prefer it. Such a pair was
not judged wrongly, so it is not turned around.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import ceil
from types import MappingProxyType
from typing import TypeVar

from annotation.rules.marks import Safety
from annotation.rules.ranking import Pair, Ranking, Strength, pairs_of

# Weakest first, so that a level's position is its number.
LEVELS = (
    Strength.NEGLIGIBLY_BETTER,
    Strength.SLIGHTLY_BETTER,
    Strength.BETTER,
    Strength.SIGNIFICANTLY_BETTER,
)


@dataclass(frozen=True)
class AgreedPair:
    """Two completions on whose order more than half of the annotators agree."""

    chosen: int
    rejected: int
    strength: Strength
    votes: int  # judgments that put chosen above rejected
    votes_against: int  # judgments that put rejected above chosen; ties are in neither


AnyPair = TypeVar("AnyPair", Pair, AgreedPair)


@dataclass(frozen=True)
class Consensus:
    """The agreed pairs of one comparison, and how many of its pairs were dropped for which reason."""

    pairs: list[AgreedPair] = field(default_factory=list)
    ties: int = 0
    conflicts: int = 0
    unsafe: int = 0  # agreed, but the chosen one is unsafe and the rejected one safe


@dataclass
class _Ballot:
    """What was said about one unordered pair (low, high)."""

    for_low: list[Strength] = field(default_factory=list)
    for_high: list[Strength] = field(default_factory=list)
    ties: int = 0

    @property
    def total(self) -> int:
        return len(self.for_low) + len(self.for_high) + self.ties


def mean_strength(strengths: Sequence[Strength]) -> Strength:
    """The level nearest to the mean of ``strengths`` (at least one); half-way goes to the weaker level."""
    if not strengths:
        raise ValueError("mean_strength needs at least one strength; a pair that nobody chose has none.")
    mean = sum(LEVELS.index(strength) for strength in strengths) / len(strengths)
    return LEVELS[ceil(mean - 0.5)]


def consensus_of(rankings: Iterable[Ranking], safety: Mapping[int, Safety] = MappingProxyType({})) -> Consensus:
    """The majority over ``rankings`` of one comparison, in the order (chosen, rejected).

    ``safety``: what is agreed of each completion (`agreed_safety`), as far as it was asked.
    """
    pairs: list[AgreedPair] = []
    ties = conflicts = 0
    for (low, high), ballot in _ballots(rankings).items():
        if 2 * len(ballot.for_low) > ballot.total:
            pairs.append(_agreed(low, high, ballot.for_low, ballot.for_high))
        elif 2 * len(ballot.for_high) > ballot.total:
            pairs.append(_agreed(high, low, ballot.for_high, ballot.for_low))
        elif 2 * ballot.ties > ballot.total:
            ties += 1
        else:
            conflicts += 1
    kept, unsafe = without_unsafe_over_safe(pairs, safety)
    return Consensus(sorted(kept, key=lambda pair: (pair.chosen, pair.rejected)), ties, conflicts, unsafe)


def agreed_ties(
    rankings: Iterable[Ranking], safety: Mapping[int, Safety] = MappingProxyType({})
) -> list[tuple[int, int]]:
    """The pairs (low, high) of one comparison in which more than half saw no difference, in a fixed order.

    A safe and an unsafe completion are no such pair: a tie is learned in both orders, and one of them must not be.
    """
    ties = sorted(low_high for low_high, ballot in _ballots(rankings).items() if 2 * ballot.ties > ballot.total)
    return [pair for pair in ties if {safety.get(pk) for pk in pair} != {Safety.SAFE, Safety.UNSAFE}]


def without_unsafe_over_safe(pairs: Iterable[AnyPair], safety: Mapping[int, Safety]) -> tuple[list[AnyPair], int]:
    """The pairs that may be learned from, and how many were dropped for an unsafe completion above a safe one."""
    pairs = list(pairs)
    kept = [
        pair
        for pair in pairs
        if not (safety.get(pair.chosen) == Safety.UNSAFE and safety.get(pair.rejected) == Safety.SAFE)
    ]
    return kept, len(pairs) - len(kept)


def agreed_safety(marked: Iterable[Mapping[int, Safety]]) -> dict[int, Safety]:
    """What more than half of those who marked a completion say of it; without a majority it has no mark."""
    said: dict[int, list[Safety]] = defaultdict(list)
    for marks in marked:
        for completion, mark in marks.items():
            said[completion].append(mark)
    return {
        completion: mark for completion, marks in said.items() for mark in Safety if 2 * marks.count(mark) > len(marks)
    }


def tied_pairs(ranking: Ranking) -> list[tuple[int, int]]:
    """Every pair (low, high) of completions that ``ranking`` puts into one group."""
    return [pair for group in ranking.groups for pair in combinations(sorted(group), 2)]


def _agreed(chosen: int, rejected: int, votes: list[Strength], against: list[Strength]) -> AgreedPair:
    return AgreedPair(chosen, rejected, mean_strength(votes), len(votes), len(against))


def _ballots(rankings: Iterable[Ranking]) -> dict[tuple[int, int], _Ballot]:
    ballots: dict[tuple[int, int], _Ballot] = defaultdict(_Ballot)
    for ranking in rankings:
        for pair in pairs_of(ranking):
            if pair.chosen < pair.rejected:
                ballots[pair.chosen, pair.rejected].for_low.append(pair.strength)
            else:
                ballots[pair.rejected, pair.chosen].for_high.append(pair.strength)
        for low_high in tied_pairs(ranking):
            ballots[low_high].ties += 1
    return ballots
