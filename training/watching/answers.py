"""The answers that an evaluation compared, old beside new, with the first judge's verdict on each pair."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from training.evaluation import gate
from training.models import Stage
from training.watching import run_files, trusted

WON, TIED, LOST = "won", "tied", "lost"  # by the new policy
OUTCOMES = (WON, TIED, LOST)
TIE = 0.5
COMPLETIONS = {"old": "completions_old.jsonl", "new": "completions_new.jsonl"}

Row = Mapping[str, Any]
Key = tuple[str | None, float | None]  # prompt and index


@dataclass(frozen=True)
class Pair:
    """Both answers to a prompt. ``*_is_cut_off``: whether max_tokens ended it; not so where nobody knows."""

    prompt: Sequence[Mapping[str, str]]
    old: str
    new: str
    outcome: str
    old_is_cut_off: bool
    new_is_cut_off: bool


def first_of_each_prompt(stage: Stage, limit: int) -> list[Pair]:
    return _pairs(stage, run_files.judged_prompts(stage, limit=limit))


def listed(stage: Stage, outcome: str, start: int, stop: int) -> list[Pair]:
    """Those from ``start`` to before ``stop`` of one outcome, or of all where it is empty."""
    rows = (row for row in run_files.judged_rows(stage.run_dir) if not outcome or _outcome(row) == outcome)
    return _pairs(stage, islice(rows, start, stop))


def counts(stage: Stage) -> Counter[str]:
    """How many pairs there are of each outcome."""
    return run_files.read_once(_counts, stage.run_dir / run_files.JUDGED)


def judge_of(stage: Stage) -> str:
    """Whose verdicts they are, as a sentence names the judge; empty where no file says so."""
    judge = next((row.get("judge", "") for row in run_files.judged_rows(stage.run_dir)), "")
    return gate.JUDGES.get(judge, judge)


def _counts(path: Path) -> Counter[str]:
    return Counter(map(_outcome, run_files.judged_rows(path.parent)))


def _pairs(stage: Stage, rows: Iterable[Row]) -> list[Pair]:
    cut_off = {which: run_files.read_once(_cut_off, stage.run_dir / name) for which, name in COMPLETIONS.items()}
    return [
        Pair(
            prompt=row["prompt"],
            old=row.get("old", ""),
            new=row.get("new", ""),
            outcome=_outcome(row),
            old_is_cut_off=_key(row) in cut_off["old"],
            new_is_cut_off=_key(row) in cut_off["new"],
        )
        for row in rows
    ]


def _cut_off(path: Path) -> frozenset[Key]:
    """The completions that say of themselves that max_tokens ended them."""
    rows = run_files.rows(path, trusted.COMPLETION)
    return frozenset(_key(row) for row in rows if row.get("finish_reason") == "length")


def _key(row: Row) -> Key:
    return row.get("prompt_id"), row.get("index")


def _outcome(row: Row) -> str:
    """A verdict is the new policy's share of the win; where there is none, nothing is said."""
    verdict = row.get("verdict")
    if verdict is None:
        return ""
    return WON if verdict > TIE else LOST if verdict < TIE else TIED
