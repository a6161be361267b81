"""LLaMA-Factory's preferences (its data/README.md): ShareGPT's {"conversations", "chosen", "rejected"}, each side one
{"from", "value"}; and the converters' {"chosen_messages", "rejected_messages"} with contents in parts (v1_dpo_demo).
"""

from collections.abc import Iterator

from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has
from sampling.intake.formats.trl_preference import read_pair
from sampling.intake.records import Record


def recognises(row: Row) -> bool:
    return has(row, "conversations", "chosen", "rejected") or has(row, "chosen_messages", "rejected_messages")


def reads(row: Row) -> Iterator[Record]:
    if row.get("chosen_messages") is not None:
        named = {"chosen": row["chosen_messages"], "rejected": row.get("rejected_messages")}
        row = named | {name: value for name, value in row.items() if not name.endswith("_messages")}
    yield read_pair(row)


FORMAT = Format(
    key="llama_factory",
    label="LLaMA-Factory preference",
    example=(
        '{"conversations": [{"from": "human", "value": "Hi!"}], "chosen": {"from": "gpt", "value": "Hello!"}, '
        '"rejected": {"from": "gpt", "value": "What?"}}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
