"""What a snapshot holds, one comparison after the other: its judgments, which of them count, and the pairs that they
yield. How it is read from the tables fast is in reading.py, the hash over it in hashing.py.

A reviewer's decision takes precedence: where there is one, it alone yields pairs. The annotators' judgments of that
comparison stay in the snapshot, on record and under its hash, and yield nothing. Which judgments are in a snapshot is
decided in freezing.py, what the rows look like in exports.py.

For whoever writes rows::

    for judged in hashing.verified_comparisons(snapshot):            # all of it, in one process
    for judged in hashing.verified_comparisons(snapshot, blocks):    # some of hashing.blocks_of(snapshot), in another

Comparisons come in a fixed order, in memory some hundreds at a time, and nothing that is read of them is trusted until
their block has ended without SnapshotChanged. The values are plain tuples, not rows of the ORM. All that a layout may
show is in them and, of snapshots of hash scheme 2, under the hash: who wrote, when it was judged, rationales and
metadata too. So no layout needs a query of its own, and none may read a table: what is renamed there later must
change no export.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from annotation.rules.aggregation import ANY_PAIR, Aggregation, PairRule
from annotation.rules.consensus import (
    Consensus,
    Shares,
    agreed_safety,
    agreed_ties,
    consensus_of,
    shares_of,
    tied_pairs,
    without_safe_and_unsafe,
    without_unsafe_over_safe,
)
from annotation.rules.marks import Mark, Safety, mark_from_json
from annotation.rules.ranking import Pair, Ranking, pairs_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FrozenPrompt(NamedTuple):
    """``split`` as it was frozen: an eval prompt's words are held out in whichever set they stand."""

    pk: int
    split: str
    messages: list[dict[str, Any]]
    metadata: dict[str, Any]


class FrozenCompletion(NamedTuple):
    """``model``: by which name what wrote it was known when this was frozen; empty for a person's edit.

    ``model_version_id``: None for what was imported or written by a person.
    """

    pk: int
    text: str
    finish_reason: str
    origin: str
    edit_of_id: int | None
    model_version_id: int | None
    model: str


class FrozenJudgment(NamedTuple):
    pk: int
    comparison_id: int
    annotator_id: int
    kind: str
    is_decision: bool
    ranking: list[list[int]]
    strengths: list[str]
    marks: dict[str, Any]
    all_bad: bool
    rationale: str
    source: dict[str, Any]
    guidelines_version_id: int | None
    microseconds: int  # since 1970, in UTC

    @property
    def created_at(self) -> datetime:
        """When it was given: of an imported one, where it was made."""
        return EPOCH + timedelta(microseconds=self.microseconds)


class KeptPairs(NamedTuple):
    """The pairs of one judgment that become data, and how many are dropped for which reason.

    ``ties``: (low, high) of those that it sees no difference in and that the rule lets in as it does the others, for
    the layouts that have rows of ties. None of the numbers counts ties.
    """

    pairs: list[Pair]
    unsafe: int = 0  # an unsafe completion above a safe one
    disputed: int = 0  # too few of the pair's judgments say the same: the others are too many, or outvote this one
    weak: int = 0
    ties: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class JudgedComparison:
    """One comparison of a snapshot with everything that its rows are made of. ``rule``: what was frozen with it."""

    comparison_id: int
    prompt: FrozenPrompt
    completions: dict[int, FrozenCompletion]  # those that were ranked, by id
    judgments: list[FrozenJudgment]  # by id
    rule: PairRule = ANY_PAIR

    @cached_property
    def counting(self) -> list[FrozenJudgment]:
        """The judgments that yield data: the newest decision alone, where there is one."""
        if len(self.judgments) == 1:
            return self.judgments
        decisions = [judgment for judgment in self.judgments if judgment.is_decision]
        return decisions[-1:] or self.judgments

    @property
    def is_decided(self) -> bool:
        return self.counting[0].is_decision

    def pairs_by(self, judgment: FrozenJudgment) -> tuple[list[Pair], int]:
        """The pairs of one judgment, and how many were dropped for an unsafe completion above a safe one."""
        return self.kept_pairs(judgment)[:2]

    def kept_pairs(self, judgment: FrozenJudgment) -> KeptPairs:
        """The pairs of one judgment that the rule lets in."""
        ranking = ranking_of(judgment)
        pairs, ties = pairs_of(ranking), tied_pairs(ranking) if ranking.has_ties else []
        disputed = weak = unsafe = 0
        if self.rule.asks_agreement:
            agreed = [pair for pair in pairs if self.rule.is_agreed(self._shares[_low_high(pair)].of(pair))]
            pairs, disputed = agreed, len(pairs) - len(agreed)
            ties = [low_high for low_high in ties if self.rule.is_agreed(self._shares[low_high].tie)]
        if self.rule.asks_strength:
            strong = [pair for pair in pairs if self.rule.is_strong(pair.strength)]
            pairs, weak, ties = strong, len(pairs) - len(strong), []
        if judgment.marks:
            safety = _safety(judgment)
            pairs, unsafe = without_unsafe_over_safe(pairs, safety)
            ties = without_safe_and_unsafe(ties, safety)
        return KeptPairs(pairs, unsafe, disputed, weak, ties)

    def said_by(self, judgment: FrozenJudgment) -> KeptPairs:
        """What one judgment says of each pair, whatever the rule asks; without unsafe over safe."""
        return self._unruled.kept_pairs(judgment)

    def consensus(self) -> Consensus:
        """The pairs that are agreed on over the judgments that count, by the rule, each with its probability."""
        return consensus_of(self._rankings, self._agreed_safety, self.rule, self._weights)

    def ties(self) -> list[tuple[int, int]]:
        """The pairs in which most see no difference, over the judgments that count, by the rule."""
        return agreed_ties(self._rankings, self._agreed_safety, self.rule)

    @property
    def unsafe(self) -> set[int]:
        """The completions that most of those who marked them found unsafe."""
        return {pk for pk, safety in self._agreed_safety.items() if safety == Safety.UNSAFE}

    @property
    def is_all_bad(self) -> bool:
        """Whether more than half found every completion bad."""
        return 2 * sum(judgment.all_bad for judgment in self.counting) > len(self.counting)

    def judged_by(self, kinds: Collection[str]) -> "JudgedComparison | None":
        """The same with the judgments of these kinds of judges alone; None where there is none."""
        judgments = [judgment for judgment in self.judgments if judgment.kind in kinds]
        return replace(self, judgments=judgments) if judgments else None

    @property
    def _rankings(self) -> list[Ranking]:
        return [ranking_of(judgment) for judgment in self.counting]

    @property
    def _weights(self) -> list[float] | None:
        if self.rule.aggregation is Aggregation.MAJORITY or self.is_decided:
            return None
        return [self.rule.weight_of(judgment.annotator_id) for judgment in self.counting]

    @cached_property
    def _shares(self) -> dict[tuple[int, int], Shares]:
        return shares_of(self._rankings)

    @cached_property
    def _unruled(self) -> "JudgedComparison":
        return self if self.rule is ANY_PAIR else replace(self, rule=ANY_PAIR)

    @property
    def _agreed_safety(self) -> dict[int, Safety]:
        marked = [judgment for judgment in self.counting if judgment.marks]
        return agreed_safety(map(_safety, marked)) if marked else {}


def ranking_of(judgment: FrozenJudgment) -> Ranking:
    return Ranking.kept(judgment.ranking, judgment.strengths)


def marks_of(judgment: FrozenJudgment) -> dict[int, Mark]:
    """What the annotator marked, by completion id."""
    return {int(pk): mark_from_json(stored) for pk, stored in judgment.marks.items()}


def _safety(judgment: FrozenJudgment) -> dict[int, Safety]:
    return {pk: mark.safety for pk, mark in marks_of(judgment).items() if mark.safety}


def _low_high(pair: Pair) -> tuple[int, int]:
    return (pair.chosen, pair.rejected) if pair.chosen < pair.rejected else (pair.rejected, pair.chosen)
