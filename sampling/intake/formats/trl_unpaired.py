"""TRL's unpaired preference, which its KTO trainer takes: {"prompt", "completion", "label": true or false}.

Also LLaMA-Factory's two ways of writing it (its docs and data/kto_en_demo.json): {"messages", "label"}, and
{"instruction", "input", "output", "kto_tag"}. One completion alone is no comparison, and rows are read one by one: so
the label stays with the completion, as metadata, and there is no judgment, not even where the file has several
completions of a prompt. What is good beside what is bad is better asked than inferred: rank them here.
"""

from collections.abc import Iterator

from sampling.intake.formats import conversations
from sampling.intake.formats.format import COMPLETIONS, PROMPTS, Format, Row, has, has_any
from sampling.intake.formats.preferences import metadata_of, prompt_of, record, split_of
from sampling.intake.formats.values import PROMPT_FIELDS, first_of, kept, name_of
from sampling.intake.records import FoundCompletion, Record
from sampling.json_lines import Unusable, kind

_ANSWERS = ("completion", "output", "response")
_READ = (
    "prompt", "messages", "conversations", "question", "query", "instruction", "input", "system", "label", "kto_tag",
    "model", "split", "metadata", *_ANSWERS, *PROMPT_FIELDS,
)  # fmt: skip


def recognises(row: Row) -> bool:
    if not isinstance(first_of(row, "label", "kto_tag"), bool):
        return False
    return has_any(row, "messages", "conversations") or (has_any(row, "prompt", "instruction") and _answers(row))


def _answers(row: Row) -> bool:
    return any(has(row, name) for name in _ANSWERS)


def reads(row: Row) -> Iterator[Record]:
    label = first_of(row, "label", "kto_tag")
    if label in (0, 1) and not isinstance(label, str):
        label = bool(label)
    if not isinstance(label, bool):
        raise Unusable(f'"label" is {kind(label)}; it must be true or false.')
    messages, written = _exchange(row)
    metadata = {"label": label, **kept(row, *_READ)}
    completion = FoundCompletion(written, name_of(row.get("model"), "model"), metadata)
    yield record(messages, [completion], metadata=metadata_of(row), of_split=split_of(row))


def _exchange(row: Row):
    answered = next((name for name in _ANSWERS if row.get(name) is not None), None)
    if answered is None:
        name = "conversations" if row.get("messages") is None else "messages"
        return conversations.exchange(row.get(name), name, system=row.get("system"))
    messages = prompt_of(row)
    if messages is None:
        raise Unusable('The row has no prompt. Name the field that holds it "prompt", or map it.')
    return messages, conversations.completion(row[answered], answered)


FORMAT = Format(
    key="trl_unpaired",
    label="TRL unpaired preference (KTO)",
    example='{"prompt": "What colour is the sky?", "completion": "It is blue.", "label": true}',
    gives=frozenset({PROMPTS, COMPLETIONS}),
    recognises=recognises,
    reads=reads,
)
