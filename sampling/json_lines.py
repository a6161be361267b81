"""Reads JSON Lines of somebody else's making: one object a line, and for each bad line why it is bad.

Bytes go in because such a file may hold anything; nothing that it holds raises anything but `Unusable`. A line is read
in bounded pieces, so that one line of a gigabyte costs no more memory than a good one. What the objects mean is not
known here, except for a chat's turns, which several files hold.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

SHOWN_CHARACTERS = 500
BYTES_A_CHARACTER = 4  # UTF-8 needs at most so many
ROLES = ("system", "user", "assistant")
BOM = b"\xef\xbb\xbf"
NOT_JSON = "Not JSON"  # so begins the reason of what a parser cannot read


@dataclass(frozen=True)
class BadLine:
    """One line that cannot be used, why, and how it begins."""

    line: int
    reason: str
    content: str = ""


class Unusable(Exception):
    """Why a line cannot be used, in words."""


def bounded_lines(stream: BinaryIO, max_characters: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (line number, bytes without the line end, whether these are all of them)."""
    most = max_characters * BYTES_A_CHARACTER + 2
    number = 0
    while raw := stream.readline(most):
        number += 1
        is_whole = raw.endswith(b"\n") or len(raw) < most
        if not is_whole:
            is_whole = _skip_to_line_end(stream) == 0
        if number == 1:
            raw = raw.removeprefix(BOM)
        yield number, raw.rstrip(b"\r\n"), is_whole


def _skip_to_line_end(stream: BinaryIO) -> int:
    skipped = 0
    while piece := stream.readline(1 << 20):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def object_of(
    raw: bytes, *, is_whole: bool, max_characters: int, what: str, example: str, nan_is_null: bool = False
) -> dict[str, Any]:
    """The object of one line; raises `Unusable`. ``what`` is to be shortened where the line is too long.

    ``nan_is_null``: Python's json writes the empty cells of a table as NaN, which is no JSON.
    """
    too_long = f"The line is longer than {max_characters:,} characters. Shorten the {what}."
    if not is_whole:
        raise Unusable(too_long)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Unusable(
            f"Invalid UTF-8 at byte {error.start + 1} of the line (0x{raw[error.start]:02x}). Save the file as UTF-8."
        ) from None
    if len(text) > max_characters:
        raise Unusable(too_long)
    row = _load(text, _null_for_nan if nan_is_null else _no_constant)
    if not isinstance(row, dict):
        raise Unusable(f"The line is {kind(row)}; it must be an object like {example}.")
    return row


def _load(text: str, parse_constant: Callable[[str], Any]) -> Any:
    try:
        return json.loads(text, parse_constant=parse_constant, parse_float=_finite_float)
    except json.JSONDecodeError as error:
        raise Unusable(f"{NOT_JSON}: {error.msg} at character {error.pos + 1}.") from None
    except RecursionError:
        raise Unusable("Not usable: nested too deeply.") from None
    except ValueError as error:  # an integer of thousands of digits
        raise Unusable(f"Not usable: {shorten(str(error), 120)}.") from None


def turns(value: Any, name: str) -> list[dict[str, str]]:
    """A chat's messages, at least one, of which only the first may be the system's."""
    if not isinstance(value, list) or not value:
        raise Unusable(f'"{name}" is {kind(value)}; it must be a list of {{"role", "content"}} that is not empty.')
    return [_turn(turn, f"{name}[{position}]", position) for position, turn in enumerate(value)]


def _turn(turn: Any, name: str, position: int) -> dict[str, str]:
    if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
        raise Unusable(f'"{name}" must be an object with "role" and "content" and nothing else.')
    role = turn["role"]
    if role not in ROLES:
        raise Unusable(
            f'"{name}.role" is unknown ({shorten(repr(role))}); it must be {", ".join(ROLES[:-1])} or {ROLES[-1]}.'
        )
    if role == "system" and position > 0:
        raise Unusable(f'"{name}" is a system message; only the first message may be one.')
    return {"role": role, "content": text(turn["content"], f"{name}.content")}


def text(value: Any, name: str) -> str:
    """Text that is not empty and that the database can hold."""
    if not isinstance(value, str):
        raise Unusable(f'"{name}" is {kind(value)}; it must be text.')
    if not value.strip():
        raise Unusable(f'"{name}" is empty.')
    check_storable(value, name)
    return value


def check_storable(value: str, name: str) -> None:
    """JSON can name two things that no text in PostgreSQL can hold."""
    if "\0" in value:
        raise Unusable(f'"{name}" holds a NUL character (\\u0000). Remove it.')
    try:
        value.encode()  # a hundred times as fast as a look at each character
    except UnicodeEncodeError:
        raise Unusable(f'"{name}" holds half of a surrogate pair, which is no character. Remove it.') from None


def _no_constant(name: str) -> Any:
    raise Unusable(f"{NOT_JSON}: {name} is not a JSON value.")


def _null_for_nan(name: str) -> None:
    if name != "NaN":
        _no_constant(name)


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Unusable(f"Not usable: the number {shorten(digits)} is too large.")
    return value


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list" if value else "an empty list"
        case _:
            return "an object"


def shorten(text: str, length: int = 60) -> str:
    """In characters that can be stored."""
    text = text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= length else f"{text[: length - 1]}…"


def shown(raw: bytes) -> str:
    """How the line begins, in characters that can be stored."""
    text = raw[: SHOWN_CHARACTERS * 4].decode("utf-8", "replace")[:SHOWN_CHARACTERS]
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
