"""Reads one section of a recipe, and says what is wrong with it: file, stage, key, remedy.

No stage is known here: what a section holds is said by its dataclass (``sections``).
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self


class RecipeError(ValueError):
    """A recipe that cannot be run; the message names the file, the stage, the key and the remedy."""


def number(
    default: Any = dataclasses.MISSING,
    *,
    above: float | None = None,
    below: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """A field with bounds, which in a list hold for each; without a default the key must be in the file."""
    return field(default=default, metadata={"above": above, "below": below, "least": least, "most": most})


@dataclass(frozen=True, kw_only=True)
class Section:
    """One stage's values."""

    stage: ClassVar[str]
    # The rounds of a schedule that have this stage: "1", "1-4", "5-"; empty for every round.
    rounds: str = ""

    @classmethod
    def parse(cls, values: Any, *, source: str) -> Self:
        """Read one section, from TOML or from a `stage.json`; raises `RecipeError`."""
        where = f"{source}, [{cls.stage}]"
        if not isinstance(values, dict):
            raise RecipeError(f'{source}: "{cls.stage}" must be a section; write [{cls.stage}] on a line of its own.')
        fields = {each.name: each for each in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls)
        for key in values:
            if key not in fields:
                raise RecipeError(f'{where}: unknown key "{key}". {hint(key, fields)}')
        for name, each in fields.items():
            if each.default is dataclasses.MISSING and name not in values:
                raise RecipeError(f'{where}: "{name}" is missing; it has no default, so give it a value.')
        read = {key: read_value(value, hints[key], f'{where}: "{key}"') for key, value in values.items()}
        for key, value in read.items():
            for each in value if isinstance(value, tuple) else (value,):
                _check_bounds(each, fields[key].metadata, f'{where}: "{key}"')
        section = cls(**read)
        _check_rounds(section.rounds, f'{where}: "rounds"')
        section.check(where)
        return section

    def check(self, where: str) -> None:
        """Refuse values that are fine alone and impossible together."""

    def unread(self) -> dict[str, str]:
        """The keys that these values give no meaning to: each with the key that decides it, such as the method."""
        return {}

    def refuse_unread(self, written: Collection[str], changed: Collection[str], where: str) -> None:
        """Refuse a key that would do nothing: somebody believes that it does.

        ``written`` are the section's keys in the file, ``changed`` those laid over it. Where the change is what takes a
        key's meaning, the file is not to blame.
        """
        for key, deciding in self.unread().items():
            if key in changed or (key in written and deciding not in changed):
                raise RecipeError(
                    f'{where}: "{key}" is given, and does nothing while "{deciding}" is {getattr(self, deciding)!r}. '
                    "Leave it out, or change the latter."
                )

    def is_in_round(self, number: int) -> bool:
        """Whether the ``number``-th round of a schedule has this stage."""
        first, last = _span(self.rounds)
        return first <= number and (last is None or number <= last)

    @property
    def starts_and_stops(self) -> tuple[int, ...]:
        """The first round that has this stage, and the first after it that has not."""
        first, last = _span(self.rounds)
        return (first,) if last is None else (first, last + 1)


def read_value(value: Any, hint: Any, where: str) -> Any:
    """Check a TOML value against a field's type. Whole numbers are fine as floats; true is not a number."""
    if typing.get_origin(hint) is types.UnionType:
        # Only "float | None" occurs: TOML itself has no null, but the resolved form in JSON has.
        return None if value is None else read_value(value, typing.get_args(hint)[0], where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{where} is {value!r}; it must be a list, in square brackets.")
        return tuple(read_value(each, typing.get_args(hint)[0], where) for each in value)
    if typing.get_origin(hint) is Literal:
        allowed = typing.get_args(hint)
        if value not in allowed or isinstance(value, bool):
            raise RecipeError(f"{where} is {value!r}; it must be one of {', '.join(map(repr, allowed))}.")
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if type(value) is not hint:
        kinds = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise RecipeError(f"{where} is {value!r}; it must be {kinds[hint]}.")
    return value


def hint(key: str, known: typing.Iterable[str]) -> str:
    """ "Did you mean ...?", or all that there is."""
    known = list(known)
    close = difflib.get_close_matches(key, known, n=1)
    return f'Did you mean "{close[0]}"?' if close else f"There are: {', '.join(known)}."


def _check_bounds(value: Any, bounds: typing.Mapping[str, float | None], where: str) -> None:
    if value is None or not bounds:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"{where} is {value}; it must be a finite number.")
    for name, fails, words in (
        ("above", lambda limit: value <= limit, "above"),
        ("below", lambda limit: value >= limit, "below"),
        ("least", lambda limit: value < limit, "at least"),
        ("most", lambda limit: value > limit, "at most"),
    ):
        limit = bounds.get(name)
        if limit is not None and fails(limit):
            raise RecipeError(f"{where} is {value}; it must be {words} {limit:g}.")


def _check_rounds(rounds: str, where: str) -> None:
    first, last = _span(rounds) if re.fullmatch(r"(\d+(-\d*)?)?", rounds) else (0, 0)
    if first < 1 or (last is not None and last < first):
        raise RecipeError(f'{where} is {rounds!r}; write "1", "1-4" or "5-", or leave it out for every round.')


def _span(rounds: str) -> tuple[int, int | None]:
    """The first round and the last; None where there is no last."""
    if not rounds:
        return 1, None
    first, dash, last = rounds.partition("-")
    return int(first), int(last) if last else None if dash else int(first)
