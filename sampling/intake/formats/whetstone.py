"""Whetstone's own prompt lines, strictly: sampling/prompt_files.py.

{"prompt" or "messages", "system", "split", "metadata"} and nothing else: a misspelt field is told instead of kept.
Only by name: a file that looks like this is read as plain prompts, which keeps unknown fields as metadata.
"""

from collections.abc import Iterator

from sampling.intake.formats.conversations import with_system
from sampling.intake.formats.format import PROMPTS, Format, Row, has_any
from sampling.intake.formats.values import storable
from sampling.intake.records import Record
from sampling.json_lines import Unusable, kind, shorten, text, turns
from sampling.prompt_files import FIELDS, SPLITS


def recognises(row: Row) -> bool:
    return has_any(row, "prompt", "messages") and set(row) <= set(FIELDS)


def reads(row: Row) -> Iterator[Record]:
    for name in row:
        if name not in FIELDS:
            raise Unusable(
                f'Unknown field "{shorten(str(name))}". A line may have {", ".join(FIELDS)}; put the rest into '
                "metadata."
            )
    yield Record(_messages(row), split=_split(row), metadata=_metadata(row))


def _messages(row: Row):
    if "prompt" in row and "messages" in row:
        raise Unusable('The line has both "prompt" and "messages"; give one.')
    if "prompt" not in row and "messages" not in row:
        raise Unusable('The line has neither "prompt" nor "messages"; give one.')
    if "prompt" in row:
        found = [{"role": "user", "content": text(row["prompt"], "prompt")}]
    else:
        found = turns(row["messages"], "messages")
    if found[-1]["role"] != "user":
        raise Unusable(
            f'The last message is from "{found[-1]["role"]}"; it must be the user\'s, which the model answers.'
        )
    return tuple(with_system(found, row.get("system")))


def _split(row: Row) -> str:
    found = row.get("split")
    if found is None or found == "":
        return ""
    if found not in SPLITS:
        raise Unusable(f'"split" is unknown ({shorten(repr(found))}); it must be {" or ".join(SPLITS)}.')
    return found


def _metadata(row: Row):
    found = row.get("metadata")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Unusable(f'"metadata" is {kind(found)}; it must be an object.')
    return storable(found, "metadata")


FORMAT = Format(
    key="whetstone",
    label="Whetstone's prompt lines, strictly",
    example='{"prompt": "Name three rivers.", "system": "Answer briefly.", "split": "eval", "metadata": {"id": 7}}',
    gives=frozenset({PROMPTS}),
    recognises=recognises,
    reads=reads,
    named_only=True,
)
