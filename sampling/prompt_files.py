"""Reads a file of prompts: JSON Lines in, good prompts and bad lines out, with the reason for each bad one.

No database here: what is in the set already, the caller knows.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from sampling.json_lines import (
    BadLine,
    Unusable,
    bounded_lines,
    check_storable,
    kind,
    object_of,
    shorten,
    shown,
    text,
    turns,
)

__all__ = ["BadLine", "GoodPrompt", "content_hash_of", "read_prompts"]

MAX_LINE_CHARACTERS = 100_000
MAX_METADATA_DEPTH = 20
SPLITS = ("train", "eval")
FIELDS = ("prompt", "messages", "system", "split", "metadata")


@dataclass(frozen=True)
class GoodPrompt:
    """One usable line. ``split`` is empty where the line names none."""

    line: int
    messages: list[dict[str, str]]
    split: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        return content_hash_of(self.messages)


def content_hash_of(messages: Sequence[dict[str, str]]) -> str:
    """SHA-256 of a prompt's messages: two prompts with one hash ask the same thing."""
    canonical = json.dumps(messages, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_prompts(stream: BinaryIO) -> Iterator[GoodPrompt | BadLine]:
    """Yield every line of ``stream`` as a prompt or as a bad line, in order; blank lines at the very end are ignored.

    The second of two equal prompts is a bad line that names the first.
    """
    first_lines: dict[bytes, int] = {}  # hash -> the line where the prompt stood first
    last_filled = 0
    for number, raw, is_whole in bounded_lines(stream, MAX_LINE_CHARACTERS):
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
            raise Unusable(f"The same prompt stands in line {first_lines[key]}.")
    except Unusable as unusable:
        return BadLine(number, str(unusable), shown(raw))
    first_lines[key] = number
    return prompt


def _parse(number: int, raw: bytes, is_whole: bool) -> GoodPrompt:
    row = object_of(
        raw, is_whole=is_whole, max_characters=MAX_LINE_CHARACTERS, what="prompt", example='{"prompt": "..."}'
    )
    for name in row:
        if name not in FIELDS:
            raise Unusable(
                f'Unknown field "{shorten(name)}". A line may have {", ".join(FIELDS)}; put the rest into metadata.'
            )
    return GoodPrompt(number, messages_of(row), _split(row), metadata_of(row))


def messages_of(row: dict[str, Any]) -> list[dict[str, str]]:
    """The chat of a row with "prompt" or "messages", and maybe "system". Raises Unusable."""
    if "prompt" in row and "messages" in row:
        raise Unusable('The line has both "prompt" and "messages"; give one.')
    if "prompt" not in row and "messages" not in row:
        raise Unusable('The line has neither "prompt" nor "messages"; give one.')
    if "prompt" in row:
        messages = [{"role": "user", "content": text(row["prompt"], "prompt")}]
    else:
        messages = _chat(row["messages"])
    if row.get("system") is not None:
        if messages[0]["role"] == "system":
            raise Unusable('The line has "system" and a system message in "messages"; give one.')
        messages.insert(0, {"role": "system", "content": text(row["system"], "system")})
    return messages


def _chat(value: Any) -> list[dict[str, str]]:
    messages = turns(value, "messages")
    if messages[-1]["role"] != "user":
        raise Unusable(
            f'The last message is from "{messages[-1]["role"]}"; it must be the user\'s, which the model answers.'
        )
    return messages


def _split(row: dict[str, Any]) -> str:
    split = row.get("split")
    if split is None or split == "":
        return ""
    if split not in SPLITS:
        raise Unusable(f'"split" is unknown ({shorten(repr(split))}); it must be {" or ".join(SPLITS)}.')
    return split


def metadata_of(row: dict[str, Any]) -> dict[str, Any]:
    """Its "metadata", which may be any storable object. Raises Unusable."""
    metadata = row.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise Unusable(f'"metadata" is {kind(metadata)}; it must be an object.')
    remaining: list[tuple[int, Any]] = [(1, metadata)]  # (depth, value); no recursion, since a file sets the depth
    while remaining:
        depth, value = remaining.pop()
        if depth > MAX_METADATA_DEPTH:
            raise Unusable(f'"metadata" is nested more than {MAX_METADATA_DEPTH} levels deep.')
        if isinstance(value, str):
            check_storable(value, "metadata")
        elif isinstance(value, list):
            remaining += [(depth + 1, item) for item in value]
        elif isinstance(value, dict):
            remaining += [(depth + 1, item) for pair in value.items() for item in pair]
    return metadata
