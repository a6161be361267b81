"""OpenAI's preference fine-tuning (its guide "Direct preference optimization"): {"input": {"messages", "tools",
"parallel_tool_calls"}, "preferred_output": [message], "non_preferred_output": [message]}.
"""

from collections.abc import Iterator

from sampling.intake.formats import conversations
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has
from sampling.intake.formats.preferences import FIRST, metadata_of, record, split_of
from sampling.intake.formats.trl_preference import judgment_of
from sampling.intake.records import FoundCompletion, JudgedBy, Record
from sampling.json_lines import Unusable, kind

_SIDES = ("preferred_output", "non_preferred_output")


def recognises(row: Row) -> bool:
    return has(row, *_SIDES) and isinstance(row.get("input"), dict)


def reads(row: Row) -> Iterator[Record]:
    asked = row.get("input")
    if not isinstance(asked, dict):
        raise Unusable(f'"input" is {kind(asked)}; it must be an object with "messages".')
    if asked.get("tools"):
        raise Unusable("The row has tools, which cannot be read: leave it out.")
    messages = conversations.prompt(asked.get("messages"), "input.messages")
    completions = [FoundCompletion(conversations.completion(row.get(side), side)) for side in _SIDES]
    judgment = judgment_of(
        {name: row[name] for name in row if name not in (*_SIDES, "input")}, FIRST, by=JudgedBy.UNKNOWN
    )
    yield record(messages, completions, [judgment], metadata=metadata_of(row), of_split=split_of(row))


FORMAT = Format(
    key="openai_preference",
    label="OpenAI preference",
    example=(
        '{"input": {"messages": [{"role": "user", "content": "Is it cold?"}], "tools": [], "parallel_tool_calls": '
        'true}, "preferred_output": [{"role": "assistant", "content": "Yes, 5 °C."}], '
        '"non_preferred_output": [{"role": "assistant", "content": "Maybe."}]}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
