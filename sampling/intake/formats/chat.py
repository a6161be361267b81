"""Whole conversations: {"messages": [{"role", "content"}...]} of OpenAI's fine-tuning and TRL's SFT, and ShareGPT's
{"conversations": [{"from", "value"}...]} (github.com/lm-sys/FastChat, docs of LLaMA-Factory).

Where the last turn is the assistant's it is the completion, and the prompt is all before it; where it is the user's
there is a prompt only. Whetstone's own SFT export is read by this too.
"""

from collections.abc import Iterator

from sampling.intake.formats.conversations import answerable, conversation, with_system
from sampling.intake.formats.format import COMPLETIONS, PROMPTS, Format, Row, has_any, is_list_of_objects
from sampling.intake.formats.preferences import own_metadata, record, split_of
from sampling.intake.formats.values import first_of, kept, name_of
from sampling.intake.records import FoundCompletion, Record
from sampling.json_lines import Unusable

_FIELDS = ("messages", "conversations", "conversation")


def recognises(row: Row) -> bool:
    """Of turns: a list that is a prompt only, under "messages", is a prompt, whatever else it looks like."""
    turns = first_of(row, *_FIELDS)
    if not is_list_of_objects(turns) or has_any(row, "chosen", "rejected", "label", "kto_tag", "completions"):
        return False
    last = turns[-1]
    speaker = (last.get("role") or last.get("from")) if isinstance(last, dict) else None
    return "from" in turns[0] or row.get("messages") is None or speaker in ("assistant", "gpt", "model")


def reads(row: Row) -> Iterator[Record]:
    name = next((name for name in _FIELDS if row.get(name) is not None), None)
    if name is None:
        raise Unusable('The row has no conversation. Name the field that holds it "messages", or map it.')
    turns = with_system(conversation(row[name], name), row.get("system"))
    completions = []
    if turns[-1]["role"] == "assistant":
        writer = name_of(row.get("model"), "model")
        completions.append(FoundCompletion(turns.pop()["content"], writer))
    # TRL and ultrachat repeat the first message as "prompt".
    metadata = kept(row, name, "system", "split", "metadata", "prompt", "model") | own_metadata(row)
    yield record(answerable(turns, name), completions, metadata=metadata, of_split=split_of(row))


FORMAT = Format(
    key="chat",
    label="chat messages",
    example='{"messages": [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "4"}]}',
    gives=frozenset({PROMPTS, COMPLETIONS}),
    recognises=recognises,
    reads=reads,
)
