"""A prompt and one answer to it: TRL's prompt-completion (its docs, "Dataset formats"), standard or conversational.

{"prompt", "completion"}, and the same under the names that are usual elsewhere: {"question", "answer"},
{"query", "response"} ... Several answers without any order, {"prompt", "completions": [...]}, are read too: each a
text or {"text" or "completion", "model"} (Whetstone's requests, the tables of open-instruct).
"""

from collections.abc import Iterator
from typing import Any

from sampling.intake.formats import conversations
from sampling.intake.formats.format import COMPLETIONS, PROMPTS, Format, Row, has_any
from sampling.intake.formats.preferences import own_metadata, prompt_of, record, split_of
from sampling.intake.formats.values import first_of, kept, name_of
from sampling.intake.records import FoundCompletion, Record
from sampling.json_lines import Unusable, kind

_ASKED = ("prompt", "messages", "question", "query")
_ANSWERS = ("completion", "response", "answer", "output")
_WRITER = ("model", "model_name", "writer", "generator")
_MORE = (
    "chosen", "rejected", "label", "ranking", "ranks", "helpfulness", "acceptable?", "conversations", "annotations",
    "preference", "choices",
)  # fmt: skip


def recognises(row: Row) -> bool:
    if not has_any(row, *_ASKED) or has_any(row, *_MORE):
        return False
    several = row.get("completions")
    return has_any(row, *_ANSWERS) or (isinstance(several, list) and bool(several))


def reads(row: Row) -> Iterator[Record]:
    messages = prompt_of(row)
    if messages is None:
        raise Unusable('The row has no prompt. Name the field that holds it "prompt", or map it.')
    answered = next((name for name in _ANSWERS if row.get(name) is not None), None)
    if answered is not None:
        writer = name_of(first_of(row, *_WRITER), "model")
        completions = [FoundCompletion(conversations.completion(row[answered], answered), writer)]
    else:
        completions = _several(row.get("completions"))
    used = (*_ASKED, *_WRITER, "completions", "instruction", "input", "system", "split", "metadata", answered or "")
    yield record(messages, completions, metadata=kept(row, *used) | own_metadata(row), of_split=split_of(row))


def _several(value: Any) -> list[FoundCompletion]:
    if not isinstance(value, list) or not value:
        raise Unusable(f'"completions" is {kind(value)}; it must be a list of texts or of {{"text", "model"}}.')
    return [completion_in(item, f"completions[{at}]") for at, item in enumerate(value)]


def completion_in(item: Any, name: str) -> FoundCompletion:
    """One of a list of completions: a text, a message, or an object with the text and who wrote it. It may be empty."""
    if not isinstance(item, dict) or "role" in item:
        return FoundCompletion(conversations.completion(item, name))
    fields = ("text", "completion", "response", "content")
    written = conversations.answer(first_of(item, *fields), f"{name}.text")
    return FoundCompletion(written, name_of(first_of(item, *_WRITER), f"{name}.model"), kept(item, *fields, *_WRITER))


FORMAT = Format(
    key="prompt_completion",
    label="prompt and completion",
    example='{"prompt": "The capital of Chile is", "completion": " Santiago.", "model": "our-7b"}',
    gives=frozenset({PROMPTS, COMPLETIONS}),
    recognises=recognises,
    reads=reads,
)
