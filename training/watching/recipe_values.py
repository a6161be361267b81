"""What a round was told, value by value: where it differs from its recipe's file, and what its method makes use of."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training import recipe as recipes
from training.launching.asked import BLANK
from training.models import TrainingRound
from training.recipe import SECTIONS, Section
from training.watching import figures

NOTHING = "none"


@dataclass(frozen=True)
class Change:
    """One value that was laid over the recipe's file. ``was``: the file's; empty where that is not known any more."""

    key: str
    value: str
    was: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value}" + (f" (was {self.was})" if self.was else "")


@dataclass(frozen=True)
class Value:
    key: str
    words: str
    change: Change | None


@dataclass(frozen=True)
class Told:
    """One stage's values. ``unread``: those that do nothing under the others, such as adapters' under method "full"."""

    label: str
    values: Sequence[Value]
    unread: Sequence[Value]


def in_order(section: type[Section], keys: Collection[str]) -> list[str]:
    """As recipes are documented; keys of an older version, which nobody knows now, at the end."""
    known = [field.name for field in dataclasses.fields(section) if field.name in keys]
    return known + sorted(set(keys).difference(known))


def words_of(value: Any, key: str = "") -> str:
    if key == "rounds" and not value:
        return "all"  # that is what an empty one means
    match value:
        case None | "" | [] | ():
            return NOTHING
        case bool():
            return yes_or_no(value)
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def yes_or_no(value: Any) -> str:
    return "yes" if value else "no"


def change_count(round: TrainingRound) -> int:
    return sum(len(values) for _, values in _changed(round))


def changes_of(round: TrainingRound) -> list[Change]:
    """In the order of the stages. A recipe that was written down whole has none: there was no file."""
    before = _before(round)
    return [
        Change(f"{section}.{key}", words_of(value, key), _was(before, section, key, value))
        for section, values in _changed(round)
        for key, value in values.items()
    ]


def told(round: TrainingRound) -> list[Told]:
    """Every value of the resolved recipe, a stage after the other."""
    changes = {change.key: change for change in changes_of(round)}
    found = []
    for section, known in SECTIONS.items():
        if not (values := round.recipe.get(section)):
            continue
        rows = [
            Value(key, words_of(values[key], key), changes.get(f"{section}.{key}")) for key in in_order(known, values)
        ]
        unread = _unread(section, values)
        found.append(
            Told(
                label=figures.label_of(section),
                values=[row for row in rows if row.key not in unread],
                unread=[row for row in rows if row.key in unread],
            )
        )
    return found


def _changed(round: TrainingRound) -> list[tuple[str, Mapping[str, Any]]]:
    if round.recipe_name == BLANK:
        return []
    changes = round.changes
    return [(name, changes[name]) for name in SECTIONS if isinstance(changes.get(name), Mapping)]


def _before(round: TrainingRound) -> Mapping[str, Any]:
    """What the recipe's file says by itself; nothing where it says something else today than when the round began."""
    if not round.changes or round.recipe_name == BLANK:
        return {}
    try:
        with_changes = recipes.load(round.recipe_name, round.changes).resolved()
        alone = recipes.load(round.recipe_name).resolved()
        # Older rounds are stored with values that do nothing.
        stored = recipes.from_dict(dict(round.schedule or round.recipe), source="a round", is_of_round=True).resolved()
    except recipes.RecipeError:
        return {}
    is_as_it_was = all(with_changes.get(name) == stored.get(name) for name in SECTIONS)
    return alone if is_as_it_was else {}


def _was(before: Mapping[str, Any], section: str, key: str, value: Any) -> str:
    if not before:
        return ""
    values = before.get(section)
    if values is None:
        return "not run"
    return "" if values.get(key) == value else words_of(values.get(key), key)


def _unread(section: str, values: Mapping[str, Any]) -> set[str]:
    """Rounds of today are stored without them; older ones have them, and a few have what nobody can read any more."""
    try:
        return set(SECTIONS[section].parse(dict(values), source="a round").unread())
    except recipes.RecipeError:
        return set()
