"""Alpaca's instructions: {"instruction", "input", "output"} (github.com/tatsu-lab/stanford_alpaca).

The input stands below the instruction, after one line end, as LLaMA-Factory joins them (it also has "system", and
"history" of pairs of an earlier question and its answer). Self-Instruct's seed tasks, which Alpaca comes from, have
{"instruction", "instances": [{"input", "output"}]}: a record each.
"""

from collections.abc import Iterator
from typing import Any

from sampling.intake.formats.conversations import answer, conversation, instruction, with_system
from sampling.intake.formats.format import COMPLETIONS, PROMPTS, Format, Row, has, has_any, is_list_of_objects
from sampling.intake.formats.preferences import own_metadata, record, split_of
from sampling.intake.formats.values import absent, kept, name_of
from sampling.intake.records import FoundCompletion, Record
from sampling.json_lines import Unusable

_USED = ("instruction", "input", "output", "instances", "system", "history", "text", "split", "metadata", "model")


def recognises(row: Row) -> bool:
    if not has(row, "instruction") or has_any(
        row, "chosen", "rejected", "completions", "prompt", "response1", "label", "kto_tag"
    ):
        return False
    return row.get("output") is not None or is_list_of_objects(row.get("instances"))


def reads(row: Row) -> Iterator[Record]:
    instances = row.get("instances")
    metadata = kept(row, *_USED) | own_metadata(row)
    if not is_list_of_objects(instances):
        yield _record(row, row, metadata)
        return
    for at, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise Unusable(f'"instances[{at}]" is no object with "input" and "output".')
        yield _record(row, instance | {"instruction": row.get("instruction")}, metadata)


def _record(row: Row, asked: Row, metadata: Any) -> Record:
    turns = conversation([*_history(row.get("history")), {"role": "user", "content": instruction(asked)}], "history")
    written = asked.get("output")
    completions = []
    if not absent(written):
        completions.append(FoundCompletion(answer(written, "output"), name_of(row.get("model"), "model")))
    messages = with_system(turns, row.get("system"))
    return record(messages, completions, metadata=metadata, of_split=split_of(row))


def _history(value: Any) -> Iterator[dict[str, Any]]:
    if absent(value):
        return
    if not isinstance(value, list):
        raise Unusable('"history" must be a list of [question, answer].')
    for exchange in value:
        if not isinstance(exchange, list) or len(exchange) != 2:
            raise Unusable('"history" must be a list of [question, answer].')
        yield {"role": "user", "content": exchange[0]}
        yield {"role": "assistant", "content": exchange[1]}


FORMAT = Format(
    key="alpaca",
    label="Alpaca's instructions",
    example='{"instruction": "Translate into French.", "input": "Good morning", "output": "Bonjour"}',
    gives=frozenset({PROMPTS, COMPLETIONS}),
    recognises=recognises,
    reads=reads,
)
