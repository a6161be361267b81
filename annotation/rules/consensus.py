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

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import combinations
from math import ceil
from types import MappingProxyType
from typing import NamedTuple, TypeVar, assert_never

from annotation.rules.aggregation import ANY_PAIR, LEVELS, PairRule, probability_of, share_of
from annotation.rules.marks import Safety
from annotation.rules.ranking import Pair, Ranking, Strength, pairs_of


@dataclass(frozen=True)
class AgreedPair:
    """Two completions on whose order more than half of the annotators agree."""

    chosen: int
    rejected: int
    strength: Strength
    votes: int  # judgments that put chosen above rejected
    votes_against: int  # judgments that put rejected above chosen; ties are in neither
    ties: int = field(default=0, compare=False)  # judgments that saw no difference
    probability: float = field(default=1.0, compare=False)  # that chosen is better, by the rule of aggregation


AnyPair = TypeVar("AnyPair", Pair, AgreedPair)


@dataclass(frozen=True)
class Consensus:
    """The agreed pairs of one comparison, and how many of its pairs were dropped for which reason."""

    pairs: list[AgreedPair] = field(default_factory=list)
    ties: int = 0
    conflicts: int = 0
    unsafe: int = 0  # agreed, but the chosen one is unsafe and the rejected one safe
    disputed: int = 0  # by fewer judgments than the rule asks for
    weak: int = 0  # by less than the rule asks for


class Shares(NamedTuple):
    """Of the judgments of one pair (low, high): those for either side, and those that see no difference."""

    low: float
    high: float
    tie: float

    def of(self, pair: Pair) -> float:
        """Those that say what ``pair`` says."""
        return self.low if pair.chosen < pair.rejected else self.high


class _Verdict(Enum):
    LOW = "low"
    HIGH = "high"
    TIE = "tie"
    CONFLICT = "conflict"


@dataclass
class _Ballot:
    """What was said about one unordered pair (low, high)."""

    for_low: list[Strength] = field(default_factory=list)
    for_high: list[Strength] = field(default_factory=list)
    ties: int = 0
    log_odds: float = 0.0  # that low is better, by the annotators' weights

    @property
    def total(self) -> int:
        return len(self.for_low) + len(self.for_high) + self.ties

    @property
    def shares(self) -> "Shares":
        return Shares(len(self.for_low) / self.total, len(self.for_high) / self.total, self.ties / self.total)

    def verdict(self, is_weighted: bool) -> _Verdict:
        if 2 * self.ties > self.total:
            return _Verdict.TIE
        if is_weighted:
            odds = round(self.log_odds, 9)  # equal weights on both sides cancel but for the last bits
            is_low, is_high = odds > 0, odds < 0
        else:
            is_low, is_high = 2 * len(self.for_low) > self.total, 2 * len(self.for_high) > self.total
        return _Verdict.LOW if is_low else _Verdict.HIGH if is_high else _Verdict.CONFLICT


def mean_strength(strengths: Sequence[Strength]) -> Strength:
    """The level nearest to the mean of ``strengths`` (at least one); half-way goes to the weaker level."""
    if not strengths:
        raise ValueError("mean_strength needs at least one strength; a pair that nobody chose has none.")
    mean = sum(LEVELS.index(strength) for strength in strengths) / len(strengths)
    return LEVELS[ceil(mean - 0.5)]


def consensus_of(
    rankings: Sequence[Ranking],
    safety: Mapping[int, Safety] = MappingProxyType({}),
    rule: PairRule = ANY_PAIR,
    weights: Sequence[float] | None = None,
) -> Consensus:
    """What ``rankings`` of one comparison agree on, in the order (chosen, rejected).

    ``safety``: what is agreed of each completion (`agreed_safety`), as far as it was asked. ``weights``: one a ranking,
    in log odds, instead of a majority.
    """
    is_weighted = weights is not None
    if len(rankings) == 1 and not is_weighted:
        return _consensus_of_one(rankings[0], safety, rule)
    pairs: list[AgreedPair] = []
    found: Counter[str] = Counter()
    for (low, high), ballot in _ballots(rankings, weights).items():
        match ballot.verdict(is_weighted):
            case _Verdict.LOW:
                pair = _agreed(low, high, ballot.for_low, ballot.for_high, ballot, ballot.log_odds, is_weighted)
            case _Verdict.HIGH:
                pair = _agreed(high, low, ballot.for_high, ballot.for_low, ballot, -ballot.log_odds, is_weighted)
            case _Verdict.TIE | _Verdict.CONFLICT as undecided:
                found[undecided.value] += 1
                continue
            case unknown:
                assert_never(unknown)
        if not rule.is_agreed(pair.probability if is_weighted else pair.votes / ballot.total):
            found["disputed"] += 1
        elif not rule.is_strong(pair.strength):
            found["weak"] += 1
        else:
            pairs.append(pair)
    kept, unsafe = without_unsafe_over_safe(pairs, safety)
    return Consensus(
        sorted(kept, key=lambda pair: (pair.chosen, pair.rejected)),
        ties=found["tie"],
        conflicts=found["conflict"],
        unsafe=unsafe,
        disputed=found["disputed"],
        weak=found["weak"],
    )


def _consensus_of_one(ranking: Ranking, safety: Mapping[int, Safety], rule: PairRule) -> Consensus:
    """The same, said shorter: nobody contradicts. Most comparisons of a large set are judged once."""
    every = [AgreedPair(pair.chosen, pair.rejected, pair.strength, 1, 0) for pair in pairs_of(ranking)]
    strong = [pair for pair in every if rule.is_strong(pair.strength)]
    kept, unsafe = without_unsafe_over_safe(strong, safety) if safety else (strong, 0)
    ordered = sorted(kept, key=lambda pair: (pair.chosen, pair.rejected))
    ties = 0 if len(ranking.groups) == len(ranking.items) else len(tied_pairs(ranking))
    return Consensus(ordered, ties=ties, unsafe=unsafe, weak=len(every) - len(strong))


def shares_of(rankings: Iterable[Ranking]) -> dict[tuple[int, int], Shares]:
    """Of each pair (low, high) that somebody ranked."""
    return {low_high: ballot.shares for low_high, ballot in _ballots(rankings).items()}


def agreed_ties(
    rankings: Iterable[Ranking], safety: Mapping[int, Safety] = MappingProxyType({}), rule: PairRule = ANY_PAIR
) -> list[tuple[int, int]]:
    """The pairs (low, high) of one comparison in which more than half saw no difference, in a fixed order.

    What ``rule`` asks of a pair it asks of a tie: as large a share of the judgments, by whichever aggregation; and who
    asks for a strength wants no tie at all.
    """
    if rule.asks_strength:
        return []
    ties = (
        low_high
        for low_high, ballot in _ballots(rankings).items()
        if 2 * ballot.ties > ballot.total and rule.is_agreed(ballot.shares.tie)
    )
    return without_safe_and_unsafe(sorted(ties), safety)


def without_safe_and_unsafe(ties: Iterable[tuple[int, int]], safety: Mapping[int, Safety]) -> list[tuple[int, int]]:
    """The ties that may be learned from: a tie is learned in both orders, and unsafe over safe must not be."""
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


def _agreed(
    chosen: int,
    rejected: int,
    votes: list[Strength],
    against: list[Strength],
    ballot: _Ballot,
    log_odds: float,
    is_weighted: bool,
) -> AgreedPair:
    return AgreedPair(
        chosen,
        rejected,
        mean_strength(votes),
        votes=len(votes),
        votes_against=len(against),
        ties=ballot.ties,
        probability=probability_of(log_odds) if is_weighted else share_of(len(votes), len(against), ballot.ties),
    )


def _ballots(rankings: Iterable[Ranking], weights: Sequence[float] | None = None) -> dict[tuple[int, int], _Ballot]:
    ballots: dict[tuple[int, int], _Ballot] = defaultdict(_Ballot)
    for number, ranking in enumerate(rankings):
        weight = weights[number] if weights else 0.0
        for pair in pairs_of(ranking):
            if pair.chosen < pair.rejected:
                ballot = ballots[pair.chosen, pair.rejected]
                ballot.for_low.append(pair.strength)
                ballot.log_odds += weight
            else:
                ballot = ballots[pair.rejected, pair.chosen]
                ballot.for_high.append(pair.strength)
                ballot.log_odds -= weight
        for low_high in tied_pairs(ranking):
            ballots[low_high].ties += 1
    return ballots
