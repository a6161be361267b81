"""Rankings and the pairs that they mean: the only place that turns one into the other.

Pure: no database, no request. Items are whatever names a completion (an id, a letter).
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Strength(StrEnum):
    """How much better, in the four levels of Llama 2 (arXiv 2307.09288, section 3.2.1). Strongest first."""

    SIGNIFICANTLY_BETTER = "significantly_better"
    BETTER = "better"
    SLIGHTLY_BETTER = "slightly_better"
    NEGLIGIBLY_BETTER = "negligibly_better"

    @property
    def label(self) -> str:
        return self.value.replace("_", " ")


DEFAULT_STRENGTH = Strength.BETTER
EDIT = "edit"  # in a ranking that is just being given: the better answer that the annotator wrote
_STRONGEST_FIRST = tuple(Strength)
_LEVELS = {strength.value: strength for strength in Strength}


class RankingError(ValueError):
    """What was sent is no ranking of what was shown. The message is for the annotator."""


@dataclass(frozen=True)
class Pair:
    """Two completions, one of them preferred."""

    chosen: Any
    rejected: Any
    strength: Strength


@dataclass(frozen=True)
class Ranking:
    """Groups of items, best first, items in one group tied; one strength between each two neighbours."""

    groups: tuple[tuple[Hashable, ...], ...]
    strengths: tuple[Strength, ...] = ()

    def __post_init__(self) -> None:
        groups = tuple(tuple(group) for group in self.groups)
        items = [item for group in groups for item in group]
        if not items:
            raise RankingError("The ranking is empty. Rank every completion.")
        if not all(groups):
            raise RankingError("The ranking has an empty group. Leave empty groups out.")
        if len(set(items)) != len(items):
            raise RankingError("The ranking names a completion twice. Give each completion one place.")
        strengths = self.strengths or (DEFAULT_STRENGTH,) * (len(groups) - 1)
        if len(strengths) != len(groups) - 1:
            raise RankingError(
                f"{len(groups)} groups have {len(groups) - 1} gaps, but {len(strengths)} strengths were "
                "given. Give one strength for each gap."
            )
        # A frozen dataclass is normalised once, here, and never changed again.
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "strengths", tuple(_strength(value) for value in strengths))

    @classmethod
    def kept(cls, groups: Sequence[Sequence[Hashable]], strengths: Sequence[str]) -> "Ranking":
        """One that was checked when it was given, as it was stored: a third of the time, for who reads a million."""
        ranking = object.__new__(cls)
        object.__setattr__(ranking, "groups", tuple(map(tuple, groups)))
        levels = tuple(_LEVELS[value] for value in strengths) or (DEFAULT_STRENGTH,) * (len(groups) - 1)
        object.__setattr__(ranking, "strengths", levels)
        return ranking

    @property
    def items(self) -> tuple[Hashable, ...]:
        return tuple(item for group in self.groups for item in group)

    @property
    def has_ties(self) -> bool:
        return any(len(group) > 1 for group in self.groups)

    def map(self, names: Mapping[Hashable, Hashable]) -> "Ranking":
        """The same ranking with other names for its items. Raises RankingError for an item without one."""
        unknown = [str(item) for item in self.items if item not in names]
        if unknown:
            raise RankingError(f"{', '.join(unknown)} was not shown here. Rank only what is on the page.")
        return Ranking(tuple(tuple(names[item] for item in group) for group in self.groups), self.strengths)


def _strength(value: str) -> Strength:
    try:
        return Strength(value)
    except ValueError:
        raise RankingError(
            f'"{value}" is no strength. Use one of {", ".join(strength.value for strength in Strength)}.'
        ) from None


def pairs_of(ranking: Ranking) -> list[Pair]:
    """Every pair that the ranking decides, best chosen first. Completions in one group give none.

    The strength of a pair is the strongest gap between its two groups: who is far above its neighbour is at
    least as far above everything below it.
    """
    pairs = []
    for upper, better in enumerate(ranking.groups):
        for lower in range(upper + 1, len(ranking.groups)):
            strength = min(ranking.strengths[upper:lower], key=_STRONGEST_FIRST.index)
            pairs += [Pair(chosen, rejected, strength) for chosen in better for rejected in ranking.groups[lower]]
    return pairs


def ranking_from_ranks(ranks: Mapping[Hashable, int], strengths: Sequence[str] = ()) -> Ranking:
    """The ranking that numbered places mean: 1 is best, equal numbers are ties, holes do not matter."""
    places = sorted(set(ranks.values()))
    groups = tuple(tuple(item for item, rank in ranks.items() if rank == place) for place in places)
    return Ranking(groups, tuple(strengths))


def without(ranking: Ranking, item: Hashable) -> Ranking:
    """The ranking of the others. Where ``item`` stood alone two gaps become one, as strong as the stronger of them."""
    at = places(ranking.groups)[item]
    groups = [tuple(other for other in group if other != item) for group in ranking.groups]
    strengths = list(ranking.strengths)
    if not groups[at]:
        beside = slice(max(at - 1, 0), at + 1)  # one gap only where it was first or last, and that one ends nowhere
        between = strengths[beside] if 0 < at < len(groups) - 1 else []
        strengths[beside] = [min(between, key=_STRONGEST_FIRST.index)] if between else []
        del groups[at]
    return Ranking(tuple(groups), tuple(strengths))


def places(groups: Iterable[Iterable[Hashable]]) -> dict[Hashable, int]:
    """Where each item stands: 0 is the best group."""
    return {item: place for place, group in enumerate(groups) for item in group}


def relation(first: int, second: int) -> int:
    """Of two places: -1 when the first is above, 0 when they are one (a tie), 1 when it is below."""
    return (first > second) - (first < second)


def check_covers(ranking: Ranking, shown: Iterable[Hashable]) -> None:
    """Raise RankingError unless the ranking places exactly what was shown."""
    shown = set(shown)
    placed = set(ranking.items)
    if missing := shown - placed:
        raise RankingError(
            f"{len(missing)} of {len(shown)} completions have no place yet. Rank every one, or skip the comparison."
        )
    if placed - shown:
        raise RankingError("The ranking names a completion that was not shown here. Reload the page.")


def check_edit(ranking: Ranking, edited: Hashable) -> None:
    """Raise RankingError unless the edit stands above what it is an edit of."""
    place = places(ranking.groups)
    if place[EDIT] >= place[edited]:
        raise RankingError("Your better answer must rank above what it edits. Move it up, or take the edit away.")


def with_edit(groups: Sequence[Sequence[Hashable]], edited: Hashable) -> tuple[tuple[Hashable, ...], ...]:
    """The groups with the edit just above the group of what it is an edit of."""
    placed: list[tuple[Hashable, ...]] = []
    for group in groups:
        if edited in group:
            placed.append((EDIT,))
        placed.append(tuple(group))
    return tuple(placed)
