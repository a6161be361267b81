"""Conversations as fine-tuning reads them: which are used, and why the others are not.

No tokenizer and no model here: the length of a conversation is asked of a function that the stage gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sampling.engine.run_dir import RunDirError
from training.pipeline.left_out import LeftOut, count_by_reason, shortened
from training.pipeline.preferences import Lengths, Messages, read_rows


@dataclass(frozen=True)
class Conversation:
    """Messages that end with the assistant's, and where they stood."""

    messages: Messages
    line: int  # of the file that people know: a set of demonstrations, or what rejection sampling kept
    prompt_id: str | None = None


@dataclass(frozen=True)
class Usable:
    """The conversations that are trained on, each with its length in tokens, and the others."""

    conversations: list[Conversation]
    lengths: list[int]
    left_out: list[LeftOut]

    @property
    def dropped(self) -> dict[str, int]:
        """The number of the others by reason."""
        return count_by_reason(self.left_out)


def read_conversations(path: Path | str) -> list[Conversation]:
    """Read `{"messages"}` a line; raises `RunDirError` naming the line that is no conversation."""
    return [_conversation(row, path, number) for number, row in read_rows(path)]


def usable(conversations: Sequence[Conversation], max_length: int, lengths_of: Lengths) -> Usable:
    """Leave out what says nothing at its end, and what is longer than ``max_length`` tokens: nothing is cut off."""
    full = [each for each in conversations if each.messages[-1]["content"].strip()]
    empty = [left_out(each, "empty") for each in conversations if not each.messages[-1]["content"].strip()]
    lengths = lengths_of([each.messages for each in full])
    fitting = [i for i, length in enumerate(lengths) if length <= max_length]
    too_long = [
        left_out(each, "too_long", tokens=length, limit=max_length)
        for each, length in zip(full, lengths, strict=True)
        if length > max_length
    ]
    return Usable([full[i] for i in fitting], [lengths[i] for i in fitting], empty + too_long)


def left_out(
    conversation: Conversation, reason: str, *, tokens: int | None = None, limit: int | None = None
) -> LeftOut:
    """The conversation as a list of dropped rows names it."""
    asked, said = conversation.messages[-2]["content"], conversation.messages[-1]["content"]
    return LeftOut(
        reason=reason,
        prompt_id=conversation.prompt_id,
        line=conversation.line,
        tokens=tokens,
        limit=limit,
        excerpt=f"{shortened(asked, 60)} | {shortened(said, 60)}",
    )


def _conversation(row: dict[str, Any], path: Path | str, number: int) -> Conversation:
    messages = row.get("messages")
    if not messages or len(messages) < 2 or messages[-1].get("role") != "assistant":
        raise RunDirError(f'{path}, line {number}: "messages" must be a conversation that ends with the assistant.')
    prompt_id = row.get("prompt_id")
    return Conversation(messages, row.get("line", number), None if prompt_id is None else str(prompt_id))
