"""How far the annotators of one comparison disagree, and the order that most of them give. Pure: no database here.

Two judgments disagree on two completions when one puts the first above the second and the other does not: below it
counts, and a tie counts too. The measure is the share over every two judgments and every two completions that both
of them ranked; what only one of them ranked (an edit of their own) is left out. 0 is full agreement. It is no
agreement corrected for chance (figures/agreement.py has those): it puts comparisons into an order to be looked at.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from annotation.rules.consensus import consensus_of
from annotation.rules.ranking import Ranking, places, relation

Groups = Sequence[Sequence[int]]  # a ranking without its strengths: groups of completion ids, best first


@dataclass(frozen=True)
class Disagreement:
    """``differing`` of ``total`` (two judgments, two completions) differ; ``pairs`` are the completions concerned.

    ``compared`` is of how many pairs of completions these are. ``split`` is there where it is one: how many judges gave
    each answer, the most first.
    """

    differing: int = 0
    total: int = 0
    pairs: tuple[tuple[int, int], ...] = ()
    compared: int = 0
    split: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        return self.differing / self.total if self.total else 0.0

    @property
    def percent(self) -> int:
        """Never 0 where anybody disagrees, and never 100 where somebody agrees."""
        if 0 < self.differing < self.total:
            return min(max(round(100 * self.share), 1), 99)
        return round(100 * self.share)

    @property
    def words(self) -> str:
        """As a reader counts: "2 : 1" of judges, or "4 of 6 pairs" on which not all agree. Two of three against one
        differ in 67 % of what is compared, which sounds like much more than one who differs."""
        if not self.differing:
            return "none"
        return " : ".join(map(str, self.split)) if self.split else f"{len(self.pairs)} of {self.compared} pairs"


def disagreement_of(rankings: Iterable[Groups]) -> Disagreement:
    """Compare every two of these rankings, one per annotator, of one comparison."""
    rankings = list(rankings)
    if len(rankings) < 2:
        return Disagreement()
    placed = [places(groups) for groups in rankings]
    differing = total = compared = 0
    pairs, split = [], ()
    for first, second in combinations(sorted({item for place in placed for item in place}), 2):
        said = Counter(relation(place[first], place[second]) for place in placed if first in place and second in place)
        both = sum(said.values())
        agreeing = sum(count * (count - 1) // 2 for count in said.values())
        total += both * (both - 1) // 2
        differing += both * (both - 1) // 2 - agreeing
        if len(said) > 1:
            pairs.append((first, second))
        if both > 1:
            compared += 1
            split = tuple(sorted(said.values(), reverse=True))
    return Disagreement(differing, total, tuple(pairs), compared, split if compared == 1 else ())


def proposed_order(rankings: Iterable[Groups], items: Iterable[int]) -> list[list[int]]:
    """``items`` by how many others most annotators put below each, less how many above it; equal ones are tied.

    That is Copeland's rule over the pairs that have a majority (consensus.py): a proposal to be looked at, where
    majorities may even run in a circle.
    """
    score = dict.fromkeys(items, 0)
    for pair in consensus_of([Ranking(tuple(map(tuple, groups))) for groups in rankings]).pairs:
        if pair.chosen in score and pair.rejected in score:
            score[pair.chosen] += 1
            score[pair.rejected] -= 1
    return [[item for item in score if score[item] == each] for each in sorted(set(score.values()), reverse=True)]
