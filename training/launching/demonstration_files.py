"""Reads a file of demonstrations: JSON Lines in, good conversations and bad lines out, with the reason for each.

A line is {"messages": [...]} or TRL's {"prompt", "completion"}, as text or as messages; other fields are left alone.
No database here, and no more than a line in memory, beside sixteen bytes for each conversation that was seen.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from sampling.json_lines import BadLine, Unusable, bounded_lines, object_of, shown, text, turns

MAX_LINE_CHARACTERS = 1_000_000
EXAMPLE = '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}'


@dataclass(frozen=True)
class Demonstration:
    """A conversation that ends with the assistant."""

    line: int
    messages: list[dict[str, str]]

    @property
    def as_line(self) -> bytes:
        """The one form in which it is kept."""
        return json.dumps({"messages": self.messages}, ensure_ascii=False).encode() + b"\n"


def read_demonstrations(stream: BinaryIO) -> Iterator[Demonstration | BadLine]:
    """Yield every line of ``stream`` in order, blank lines left out.

    The second of two equal conversations is a bad line that names the first: what is to weigh more is said by epochs.
    """
    first_lines: dict[bytes, int] = {}
    for number, raw, is_whole in bounded_lines(stream, MAX_LINE_CHARACTERS):
        if is_whole and not raw.strip():
            continue
        try:
            found = Demonstration(number, _conversation(raw, is_whole))
            key = hashlib.sha256(found.as_line).digest()[:16]
            if key in first_lines:
                raise Unusable(f"The same conversation stands in line {first_lines[key]}.")
            first_lines[key] = number
            yield found
        except Unusable as unusable:
            yield BadLine(number, str(unusable), shown(raw))


def _conversation(raw: bytes, is_whole: bool) -> list[dict[str, str]]:
    row = object_of(raw, is_whole=is_whole, max_characters=MAX_LINE_CHARACTERS, what="conversation", example=EXAMPLE)
    messages = _messages(row)
    roles = [message["role"] for message in messages]
    if roles[-1] != "assistant":
        raise Unusable(f'The last message is from "{roles[-1]}"; it must be the assistant\'s, which is learned from.')
    if "user" not in roles:
        raise Unusable("No message is the user's; the assistant must answer something.")
    return messages


def _messages(row: dict[str, Any]) -> list[dict[str, str]]:
    has_pair = "prompt" in row and "completion" in row
    if "messages" in row and ("prompt" in row or "completion" in row):
        raise Unusable('The line has both "messages" and "prompt" or "completion"; give one or the other.')
    if "messages" in row:
        return turns(row["messages"], "messages")
    if not has_pair:
        raise Unusable('The line has neither "messages" nor both "prompt" and "completion"; give one or the other.')
    return [*_part(row["prompt"], "prompt", "user"), *_reply(row["completion"])]


def _part(value: Any, name: str, role: str) -> list[dict[str, str]]:
    """Text is one message of that role."""
    return turns(value, name) if isinstance(value, list) else [{"role": role, "content": text(value, name)}]


def _reply(value: Any) -> list[dict[str, str]]:
    messages = _part(value, "completion", "assistant")
    if messages[0]["role"] == "system":
        raise Unusable('"completion[0]" is a system message; only the first message of the prompt may be one.')
    return messages
