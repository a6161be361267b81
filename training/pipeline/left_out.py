"""The rows that a stage leaves out, each by name: `dropped.jsonl`. Data is never lost silently."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sampling.engine.run_dir import read_json_lines, write_json_lines

DROPPED = "dropped.jsonl"
EXCERPT_CHARACTERS = 120


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """One row that is not trained or measured on, why, and enough of it to recognise it."""

    reason: str
    excerpt: str
    prompt_id: str | None = None
    line: int | None = None  # of the file that it was read from
    tokens: int | None = None  # where a limit of them was the reason
    limit: int | None = None


def count_by_reason(left_out: Iterable[LeftOut]) -> dict[str, int]:
    """How many rows were left out for which reason."""
    return dict(Counter(each.reason for each in left_out))


def words_of(reason: str) -> str:
    """For people: "too_long" as "too long"."""
    return reason.replace("_", " ") or "for whatever reason"


def counted_in_words(left_out: Mapping[str, int]) -> str:
    """ "3 empty, 24 too long", from the numbers by reason."""
    return ", ".join(f"{number:,} {words_of(reason)}" for reason, number in sorted(left_out.items()) if number)


def shortened(text: str, characters: int = EXCERPT_CHARACTERS) -> str:
    """The start of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1] + "…"


def write_left_out(run_dir: Path, stage: str, left_out: Sequence[LeftOut]) -> None:
    """Say in `dropped.jsonl` what ``stage`` left out, in place of what it said before; other stages' rows stay.

    The check says it for every stage of the round in one file. In a program of several processes only the main one
    writes.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    path = run_dir / DROPPED
    rows = [row for row in read_json_lines(path) if row["stage"] != stage]
    rows += [{"stage": stage} | asdict(each) for each in left_out]
    write_json_lines(path, rows)
