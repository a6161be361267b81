"""Plain prompts: one field with what is asked, whatever else the row holds.

{"prompt"}, {"text"}, {"question"}, {"query"} or {"instruction", "input"}, as text or as turns; {"turns"} of MT-bench
(github.com/lm-sys/FastChat, question.jsonl), of which only the first can be asked: the second follows an answer.
All other fields become the prompt's metadata, as far as they are small.
"""

import re
from collections.abc import Iterator

from sampling.intake.formats.conversations import instruction, prompt
from sampling.intake.formats.format import PROMPTS, Format, Row, has_any
from sampling.intake.formats.preferences import own_metadata, split_of
from sampling.intake.formats.values import absent, kept
from sampling.intake.records import Record
from sampling.json_lines import Unusable

_FIELDS = ("prompt", "messages", "question", "query", "text")
_ASKED = (*_FIELDS, "instruction", "turns")
# Where one of these is, the row says more than what is asked: answers (output_1, response_j, completion_b ...), or a
# place in a conversation.
_ANSWER = re.compile(
    r"(model[-_ ])?(answer|candidate|completion|generation|output|prediction|reply|response|summary)s?"
    r"([-_ ]?[\dabjk])?",
    re.IGNORECASE,
)
_MORE = frozenset(
    (
        "chosen",
        "rejected",
        "label",
        "conversations",
        "conversation_a",
        "chosen_messages",
        "instances",
        "replies",
        "role",
    )
)


def recognises(row: Row) -> bool:
    if not has_any(row, *_ASKED) or isinstance(row.get("prompt"), dict):
        return False
    if any(name in _MORE or _ANSWER.fullmatch(name) for name, value in row.items() if value is not None):
        return False
    messages = row.get("messages")
    ends_with_answer = isinstance(messages, list) and bool(messages) and _role(messages[-1]) in ("assistant", "gpt")
    return not ends_with_answer


def reads(row: Row) -> Iterator[Record]:
    system = row.get("system")
    used = ("system", "split", "metadata")
    for name in _FIELDS:
        if not absent(row.get(name)):
            messages = prompt(row[name], name, system=system)
            used = (*used, name)
            break
    else:
        messages, more = _otherwise(row)
        used = (*used, *more)
    yield Record(messages, split=split_of(row), metadata=kept(row, *used) | own_metadata(row))


def _otherwise(row: Row):
    if not absent(row.get("instruction")):
        return prompt(instruction(row), "instruction", system=row.get("system")), ("instruction", "input")
    turns = row.get("turns")
    if isinstance(turns, list) and turns:
        return prompt(turns[0], "turns[0]", system=row.get("system")), ()
    raise Unusable('The row has no prompt. Name the field that holds it "prompt", or map it.')


def _role(turn: object) -> object:
    return (turn.get("role") or turn.get("from")) if isinstance(turn, dict) else None


FORMAT = Format(
    key="prompts",
    label="plain prompts",
    example='{"question": "Which planets have rings?", "category": "astronomy"}',
    gives=frozenset({PROMPTS}),
    recognises=recognises,
    reads=reads,
)
