"""What a filter can be told: kinds of values with their bounds, read from JSON or from a form's text.

No Django here. Each kind reads both, because a form posts text and a file of settings holds numbers.
"""

from dataclasses import dataclass
from typing import Any

from sampling.json_lines import Unusable, check_storable, kind, shorten

MOST_WORDS = 200
MOST_WORD_CHARACTERS = 200


class BadValue(Exception):
    """Why a value cannot be used, in words, and of which parameter."""

    def __init__(self, message: str, parameter: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True)
class Parameter:
    name: str
    label: str
    default: Any = None
    help: str = ""
    is_always_told: bool = False  # in words, even where it is the default

    def read(self, value: Any) -> Any:
        """The typed value; raises BadValue."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """As text, for a form's field."""
        return "" if value is None else str(value)


@dataclass(frozen=True)
class Number(Parameter):
    """A number within bounds. Without a default it may be left empty: no limit."""

    low: float = 0
    high: float = 1_000_000
    whole: bool = True

    def read(self, value: Any) -> int | float | None:
        if value is None or value == "":
            if self.default is None:
                return None
            raise BadValue(f"it is empty; give a number from {self.low:,} to {self.high:,}.")
        number = self._number(value)
        if not self.low <= number <= self.high:
            raise BadValue(f"{number:,} is out of range; give a number from {self.low:,} to {self.high:,}.")
        return number

    def _number(self, value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise BadValue(f"it is {kind(value)}; it must be a number.")
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise BadValue(f"{shorten(repr(value))} is no number.") from None
        if number != number or abs(number) == float("inf"):
            raise BadValue(f"{shorten(repr(value))} is no number that can be used.")
        if not self.whole:
            return number
        if number != int(number):
            raise BadValue(f"{shorten(str(value))} is not a whole number.")
        return int(number)

    def show(self, value: Any) -> str:
        """Without zeros that say nothing: 10, not 10.0."""
        return f"{value:.12g}" if isinstance(value, float) else super().show(value)


@dataclass(frozen=True)
class Choice(Parameter):
    choices: tuple[tuple[str, str], ...] = ()

    def read(self, value: Any) -> str:
        keys = [key for key, _ in self.choices]
        if value not in keys:
            raise BadValue(f"{shorten(repr(value))} is unknown; choose one of {', '.join(keys)}.")
        return value


@dataclass(frozen=True)
class Flag(Parameter):
    default: Any = False

    def read(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if value in ("on", "true", "1"):
            return True
        if value in ("", "off", "false", "0", None):
            return False
        raise BadValue(f"{shorten(repr(value))} is neither yes nor no.")


@dataclass(frozen=True)
class Text(Parameter):
    """One word or name; empty where ``default`` is "" and nothing is given."""

    default: Any = ""
    is_needed: bool = False
    suggestions: str = ""  # which of the page's lists of suggestions

    def read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise BadValue(f"it is {kind(value)}; it must be text.")
        value = value.strip()
        if self.is_needed and not value:
            raise BadValue("it is empty.")
        return _storable(value)


@dataclass(frozen=True)
class Tokenizer(Text):
    """The name of a registered model; empty for words."""


@dataclass(frozen=True)
class Words(Parameter):
    """Several values, separated by commas or lines in a form."""

    default: Any = ()
    is_needed: bool = False

    def read(self, value: Any) -> list[str]:
        if isinstance(value, str):
            value = value.replace("\n", ",").split(",")
        if not isinstance(value, list | tuple) or any(not isinstance(word, str) for word in value):
            raise BadValue("it must be a list of words.")
        words = list(dict.fromkeys(_storable(word.strip()) for word in value if word.strip()))
        if self.is_needed and not words:
            raise BadValue("it is empty; give at least one, separated by commas.")
        if len(words) > MOST_WORDS:
            raise BadValue(f"it has {len(words)} words; at most {MOST_WORDS} can be given.")
        return words

    def show(self, value: Any) -> str:
        return ", ".join(value) if isinstance(value, list | tuple) else str(value or "")


def _storable(value: str) -> str:
    if len(value) > MOST_WORD_CHARACTERS:
        raise BadValue(f"{shorten(value)} has {len(value):,} characters; at most {MOST_WORD_CHARACTERS} can be given.")
    try:
        check_storable(value, "it")
    except Unusable as unusable:
        raise BadValue(str(unusable)) from None
    return value
