"""Reads a file of prompts: JSON Lines in, good prompts and bad lines out, with the reason for each bad one.

Bytes go in because a file of somebody else's making may hold anything; nothing that it holds raises. A line is read
in bounded pieces, so that one line of a gigabyte costs no more memory than a good one. No database here: what is in
the set already, the caller knows.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAX_LINE_CHARACTERS = 100_000
MAX_LINE_BYTES = MAX_LINE_CHARACTERS * 4  # UTF-8 needs at most four bytes for a character
MAX_METADATA_DEPTH = 20
SHOWN_CHARACTERS = 500
ROLES = ("system", "user", "assistant")
SPLITS = ("train", "eval")
FIELDS = ("prompt", "messages", "system", "split", "metadata")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class GoodPrompt:
    """One usable line. ``split`` is empty where the line names none."""

    line: int
    messages: list[dict[str, str]]
    split: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the messages: two prompts with one hash ask the same thing."""
        canonical = json.dumps(self.messages, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class BadLine:
    """One line that cannot be used, why, and how it begins."""

    line: int
    reason: str
    content: str = ""


class _Unusable(Exception):
    """Why a line cannot be used, in words."""


def read_prompts(stream: BinaryIO) -> Iterator[GoodPrompt | BadLine]:
    """Yield every line of ``stream`` as a prompt or as a bad line, in order; blank lines at the very end are ignored.

    The second of two equal prompts is a bad line that names the first.
    """
    first_lines: dict[bytes, int] = {}  # hash -> the line where the prompt stood first
    last_filled = 0
    for number, raw, is_whole in _lines(stream):
        if is_whole and not raw.strip():
            continue
        yield from (BadLine(line, "The line is empty.") for line in range(last_filled + 1, number))
        last_filled = number
        yield _read_line(number, raw, is_whole, first_lines)


def _read_line(number: int, raw: bytes, is_whole: bool, first_lines: dict[bytes, int]) -> GoodPrompt | BadLine:
    try:
        prompt = _parse(number, raw, is_whole)
        key = bytes.fromhex(prompt.content_hash)
        if key in first_lines:
            raise _Unusable(f"The same prompt stands in line {first_lines[key]}.")
    except _Unusable as unusable:
        return BadLine(number, str(unusable), _shown(raw))
    first_lines[key] = number
    return prompt


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (line number, bytes without the line end, whether these are all of them)."""
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 2):
        number += 1
        is_whole = raw.endswith(b"\n") or len(raw) < MAX_LINE_BYTES + 2
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


def _parse(number: int, raw: bytes, is_whole: bool) -> GoodPrompt:
    text = _decode(raw, is_whole)
    row = _load(text)
    if not isinstance(row, dict):
        raise _Unusable(f'The line is {_kind(row)}; it must be an object like {{"prompt": "..."}}.')
    for name in row:
        if name not in FIELDS:
            raise _Unusable(
                f'Unknown field "{_shorten(name)}". A line may have {", ".join(FIELDS)}; put the rest into metadata.'
            )
    return GoodPrompt(number, _messages(row), _split(row), _metadata(row))


def _decode(raw: bytes, is_whole: bool) -> str:
    too_long = f"The line is longer than {MAX_LINE_CHARACTERS:,} characters. Shorten the prompt."
    if not is_whole:
        raise _Unusable(too_long)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _Unusable(
            f"Invalid UTF-8 at byte {error.start + 1} of the line (0x{raw[error.start]:02x}). Save the file as UTF-8."
        ) from None
    if len(text) > MAX_LINE_CHARACTERS:
        raise _Unusable(too_long)
    return text


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite_float)
    except json.JSONDecodeError as error:
        raise _Unusable(f"Not JSON: {error.msg} at character {error.pos + 1}.") from None
    except RecursionError:
        raise _Unusable("Not usable: nested too deeply.") from None
    except ValueError as error:  # an integer of thousands of digits
        raise _Unusable(f"Not usable: {_shorten(str(error), 120)}.") from None


def _messages(row: dict[str, Any]) -> list[dict[str, str]]:
    if "prompt" in row and "messages" in row:
        raise _Unusable('The line has both "prompt" and "messages"; give one.')
    if "prompt" not in row and "messages" not in row:
        raise _Unusable('The line has neither "prompt" nor "messages"; give one.')
    if "prompt" in row:
        messages = [{"role": "user", "content": _text(row["prompt"], "prompt")}]
    else:
        messages = _chat(row["messages"])
    if row.get("system") is not None:
        if messages[0]["role"] == "system":
            raise _Unusable('The line has "system" and a system message in "messages"; give one.')
        messages.insert(0, {"role": "system", "content": _text(row["system"], "system")})
    return messages


def _chat(turns: Any) -> list[dict[str, str]]:
    if not isinstance(turns, list) or not turns:
        raise _Unusable(f'"messages" is {_kind(turns)}; it must be a list of {{"role", "content"}} that is not empty.')
    messages = [_turn(turn, f"messages[{position}]", position) for position, turn in enumerate(turns)]
    if messages[-1]["role"] != "user":
        raise _Unusable(
            f'The last message is from "{messages[-1]["role"]}"; it must be the user\'s, which the model answers.'
        )
    return messages


def _turn(turn: Any, name: str, position: int) -> dict[str, str]:
    if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
        raise _Unusable(f'"{name}" must be an object with "role" and "content" and nothing else.')
    role = turn["role"]
    if role not in ROLES:
        raise _Unusable(
            f'"{name}.role" is unknown ({_shorten(repr(role))}); it must be {", ".join(ROLES[:-1])} or {ROLES[-1]}.'
        )
    if role == "system" and position > 0:
        raise _Unusable(f'"{name}" is a system message; only the first message may be one.')
    return {"role": role, "content": _text(turn["content"], f"{name}.content")}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _Unusable(f'"{name}" is {_kind(value)}; it must be text.')
    if not value.strip():
        raise _Unusable(f'"{name}" is empty.')
    _storable(value, name)
    return value


def _split(row: dict[str, Any]) -> str:
    split = row.get("split")
    if split is None or split == "":
        return ""
    if split not in SPLITS:
        raise _Unusable(f'"split" is unknown ({_shorten(repr(split))}); it must be {" or ".join(SPLITS)}.')
    return split


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    metadata = row.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise _Unusable(f'"metadata" is {_kind(metadata)}; it must be an object.')
    remaining: list[tuple[int, Any]] = [(1, metadata)]  # (depth, value); no recursion, since a file sets the depth
    while remaining:
        depth, value = remaining.pop()
        if depth > MAX_METADATA_DEPTH:
            raise _Unusable(f'"metadata" is nested more than {MAX_METADATA_DEPTH} levels deep.')
        if isinstance(value, str):
            _storable(value, "metadata")
        elif isinstance(value, list):
            remaining += [(depth + 1, item) for item in value]
        elif isinstance(value, dict):
            remaining += [(depth + 1, item) for pair in value.items() for item in pair]
    return metadata


def _storable(text: str, name: str) -> None:
    """JSON can name two things that no text in PostgreSQL can hold."""
    if "\0" in text:
        raise _Unusable(f'"{name}" holds a NUL character (\\u0000). Remove it.')
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Unusable(f'"{name}" holds half of a surrogate pair, which is no character. Remove it.')


def _no_constant(name: str) -> Any:
    raise _Unusable(f"Not JSON: {name} is not a JSON value.")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Unusable(f"Not usable: the number {_shorten(digits)} is too large.")
    return value


def _kind(value: Any) -> str:
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


def _shorten(text: str, length: int = 60) -> str:
    text = text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _shown(raw: bytes) -> str:
    """How the line begins, in characters that can be stored."""
    text = raw[: SHOWN_CHARACTERS * 4].decode("utf-8", "replace")[:SHOWN_CHARACTERS]
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
