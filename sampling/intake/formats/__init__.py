"""The formats in which others write prompts, completions and judgments: one module each, without a database.

`recognise` finds the format of some rows by their shape, `read` turns a row into records. A row that cannot be used
raises `sampling.json_lines.Unusable` with the reason and the remedy; nothing else is raised for a row, whatever it
holds. Each record's texts and metadata can be stored in PostgreSQL.
"""

from collections.abc import Iterable
from typing import Any

from sampling.intake.formats import (
    alpaca,
    arena,
    argilla,
    chat,
    evaluations,
    fine_grained_rlhf,
    helpsteer2,
    helpsteer3,
    hh_rlhf,
    label_studio,
    llama_factory,
    mapped,
    open_assistant,
    openai_preference,
    prompt_completion,
    prompts,
    rankings,
    square,
    stack_exchange,
    trl_preference,
    trl_unpaired,
    ultrafeedback,
    whetstone,
)
from sampling.intake.formats.format import Format
from sampling.intake.records import Record
from sampling.json_lines import Unusable

__all__ = ["FORMATS", "Format", "fitting", "read", "recognise"]

# In the order in which people look for theirs; where several recognise as many rows, the first one counts.
_ALL = (
    prompts.FORMAT,
    whetstone.FORMAT,
    chat.FORMAT,
    prompt_completion.FORMAT,
    alpaca.FORMAT,
    trl_preference.FORMAT,
    trl_unpaired.FORMAT,
    rankings.FORMAT,
    hh_rlhf.FORMAT,
    *ultrafeedback.FORMATS,
    *helpsteer2.FORMATS,
    helpsteer3.FORMAT,
    openai_preference.FORMAT,
    arena.FORMAT,
    label_studio.FORMAT,
    argilla.FORMAT,
    llama_factory.FORMAT,
    *stack_exchange.FORMATS,
    open_assistant.FORMAT,
    fine_grained_rlhf.FORMAT,
    *evaluations.FORMATS,
    square.FORMAT,
    mapped.FORMAT,
)
FORMATS: dict[str, Format] = {found.key: found for found in _ALL}


def recognise(rows: Iterable[dict[str, Any] | None]) -> str | None:
    """The key of the format that these rows are of; None where none recognises at least half of them."""
    rows = [row for row in rows if isinstance(row, dict)]
    best = fitting(rows)
    if not best or 2 * sum(FORMATS[best[0]].recognises(row) for row in rows) < len(rows):
        return None
    return best[0]


def fitting(rows: Iterable[dict[str, Any] | None]) -> list[str]:
    """The keys of all formats that recognise any of these rows, best first."""
    rows = [row for row in rows if isinstance(row, dict)]
    counts = {key: sum(found.recognises(row) for row in rows) for key, found in FORMATS.items() if not found.named_only}
    return sorted((key for key, count in counts.items() if count), key=lambda key: -counts[key])


def read(row: dict[str, Any], format_key: str) -> list[Record]:
    """Raises Unusable for a row that the format cannot read, and for a format that there is not."""
    if format_key not in FORMATS:
        raise Unusable(f'There is no format "{format_key}". There are {", ".join(FORMATS)}.')
    return FORMATS[format_key].read(row)
