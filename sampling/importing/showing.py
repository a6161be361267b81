"""How the pages show an import: where it stands, what it was seen to hold, how fast it goes. Nothing is written here.

`DataImport.seen` comes from a worker and holds whatever stood in somebody's file: every key may be absent, since the
page also shows a look that has only begun.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sampling.json_lines import shorten
from sampling.long_tasks import TaskState
from sampling.models import DataImport, Doing

CELL_CHARACTERS = 240  # of a cell of the preview; the file has the rest
WHOLE_CHARACTERS = 1000
COLUMNS_SHOWN = 40
BAR_WIDTH = 600  # of the picture of filters, in its own units
RENEW_AFTER = timedelta(seconds=10)  # a rate is measured over 10 to 20 s: long enough to be steady
BY = {"person": "by a person", "model": "by a model", "votes": "by votes"}
KINDS = ("prompts", "completions", "comparisons", "judgments")


class Stage(StrEnum):
    """What an import's page is about now."""

    LOOKING = "looking"
    LOOKED = "looked"
    BRINGING = "bringing"
    BROUGHT = "brought"
    TAKING_OUT = "taking out"
    TAKEN_OUT = "taken out"
    STOPPED = "stopped"  # failed or cancelled, whatever it was doing


def stage_of(row: DataImport) -> Stage:
    if row.state in (TaskState.FAILED, TaskState.CANCELLED):
        return Stage.STOPPED
    is_over = row.state == TaskState.FINISHED
    match Doing(row.doing):
        case Doing.LOOK:
            return Stage.LOOKED if is_over else Stage.LOOKING
        case Doing.IMPORT:
            return Stage.BROUGHT if is_over else Stage.BRINGING
        case Doing.UNDO:
            return Stage.TAKEN_OUT if is_over else Stage.TAKING_OUT


def has_stored(row: DataImport) -> bool:
    """Whether there is anything of it to keep or to take out again."""
    return row.undone_at is None and any(getattr(row, f"{kind}_added") for kind in KINDS)


# --- how fast ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """How far it was, and when. It travels in the address of the page's live part, so that nobody has to store it."""

    at: float  # seconds since 1970
    done: int
    rows: int

    def __str__(self) -> str:
        return f"{self.at:.1f},{self.done},{self.rows}"


@dataclass(frozen=True)
class Speed:
    rows_a_second: float
    remaining: timedelta | None  # None where the size is not known


def now(row: DataImport) -> Moment:
    return Moment(time.time(), row.done, row.next_row or row.seen.get("rows", 0))


def moments_of(given: str) -> list[Moment]:
    """Reads what `Moment` wrote, one or two with a space between; nonsense counts as none."""
    try:
        parts = [each.split(",") for each in given.split()[:2]]
        return [Moment(float(at), int(done), int(rows)) for at, done, rows in parts]
    except ValueError:
        return []


def next_moments(seen: Sequence[Moment], present: Moment) -> list[Moment]:
    """What to measure from the next time: the older of two, until the newer is old enough itself."""
    if not seen:
        return [present]
    is_young = present.at - seen[-1].at < RENEW_AFTER.total_seconds()
    return [*seen] if is_young else [seen[-1], present]


def speed(row: DataImport, seen: Sequence[Moment], present: Moment) -> Speed | None:
    """Over the last seconds; None as long as nothing moved."""
    if not seen or present.at - seen[0].at < 1:
        return None
    seconds = present.at - seen[0].at
    rows, done = present.rows - seen[0].rows, present.done - seen[0].done
    if rows <= 0 and done <= 0:
        return None
    left = (row.total - row.done) * seconds / done if done > 0 and row.total > row.done else None
    return Speed(max(rows, 0) / seconds, None if left is None else timedelta(seconds=left))


# --- what was seen ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Removed:
    """One filter: what came to it, what it took, and where both stand in the picture."""

    label: str
    gist: str  # its settings in words
    seen: int
    removed: int
    changed: int
    examples: Sequence[Mapping[str, Any]]
    kept_width: float
    removed_width: float

    @property
    def kept(self) -> int:
        return self.seen - self.removed

    @property
    def percent(self) -> float:
        return 100 * self.removed / self.seen if self.seen else 0.0


def funnel(filters: Sequence[Mapping[str, Any]]) -> list[Removed]:
    """One bar under the other, all to the scale of what came to the first."""
    most = max((step.get("seen", 0) for step in filters), default=0) or 1
    return [
        Removed(
            label=step.get("label", ""),
            gist=step.get("gist", ""),
            seen=step.get("seen", 0),
            removed=step.get("removed", 0),
            changed=step.get("changed", 0),
            examples=step.get("examples", ()),
            kept_width=BAR_WIDTH * (step.get("seen", 0) - step.get("removed", 0)) / most,
            removed_width=BAR_WIDTH * step.get("removed", 0) / most,
        )
        for step in filters
    ]


@dataclass(frozen=True)
class Row:
    """``whole`` instead of cells: a row that is no object, or is so long that it was cut in the middle."""

    cells: Sequence[str] = ()
    whole: str = ""


@dataclass(frozen=True)
class Table:
    """The first rows as they stand in the source."""

    columns: Sequence[str]
    rows: Sequence[Row]


def first_rows(seen: Mapping[str, Any]) -> Table:
    rows = [_opened(row) for row in seen.get("first_rows", ())]
    columns = list(seen.get("columns") or dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row))
    columns = columns[:COLUMNS_SHOWN]
    return Table(columns, [_row(row, columns) for row in rows])


def _row(row: Any, columns: Sequence[str]) -> Row:
    if not isinstance(row, dict):
        return Row(whole=_cell(row, WHOLE_CHARACTERS))
    return Row([_cell(row.get(column)) for column in columns])


def _cell(value: Any, length: int = CELL_CHARACTERS) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shorten(text, length)


def _opened(row: Any) -> Any:
    if not isinstance(row, str):
        return row
    try:
        return json.loads(row)
    except (ValueError, RecursionError):
        return row


def records(seen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first records, with their judgments in words."""
    return [
        record | {"judged": [in_words(judgment) for judgment in record.get("judgments", ())]}
        for record in seen.get("first_records", ())
    ]


def metadata_keys(seen: Mapping[str, Any]) -> list[str]:
    """What the first records say of their prompts, to be offered where a key is asked for."""
    of_each = [_opened(record.get("metadata", "{}")) for record in seen.get("first_records", ())]
    return sorted({key for metadata in of_each if isinstance(metadata, dict) for key in metadata})


def in_words(judgment: Mapping[str, Any]) -> str:
    """As in "2 over 1 = 3 (better), by a person: anna"; numbers count the record's answers from 1."""
    groups = [" = ".join(str(place + 1) for place in group) for group in judgment.get("groups", ())]
    ranking = f"{groups[0]}: a tie" if len(groups) == 1 else " over ".join(groups)
    strengths = ", ".join(strength.replace("_", " ") for strength in judgment.get("strengths", ()))
    by = BY.get(judgment.get("by", ""), "")
    parts = [
        f"{ranking} ({strengths})" if strengths else ranking,
        "all of them bad" if judgment.get("all_bad") else "",
        ": ".join(filter(None, [by, judgment.get("annotator", "")])),
    ]
    return ", ".join(filter(None, parts))


def paths(seen: Mapping[str, Any]) -> list[str]:
    """The source's columns, and what stands one level deeper in its first rows: "source.model"."""
    found = dict.fromkeys(seen.get("columns", ()))
    for row in map(_opened, seen.get("first_rows", ())):
        if isinstance(row, dict):
            for column, value in row.items():
                found.setdefault(column)
                if isinstance(value, dict):
                    found.update(dict.fromkeys(f"{column}.{key}" for key in value))
    return list(found)


def in_set_already(seen: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """What of the first rows the prompt set has, as in "Of the first 20,000 rows, 3 prompts are there already."."""
    known, rows = seen.get("known", {}), seen.get("rows", 0)
    if not (there := counts({kind: known.get(kind, 0) for kind in kinds})):
        return ""
    of = f"Of the first {known['rows']:,} rows, " if known.get("rows", 0) < rows else ""
    are = "is" if sum(known.get(kind, 0) for kind in kinds) == 1 else "are"
    return f"{of}{there} {are} in the prompt set already."


def to_be_added(seen: Mapping[str, Any], kinds: Sequence[str]) -> dict[str, int]:
    """Of what was counted, all that is not known to be there: judgments are compared as they come in."""
    found, known = seen.get("records", {}), seen.get("known", {})
    return {kind: found[kind] - known.get(kind, 0) for kind in kinds if found.get(kind, 0) > known.get(kind, 0)}


# --- in words ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    words: str
    badge: str  # of the style sheet: badge-finished ...


def standing(row: DataImport) -> Standing:
    is_running = row.state == TaskState.RUNNING
    match stage_of(row):
        case Stage.STOPPED:
            words = row.get_state_display()
            return Standing(f"undoing {words}" if row.doing == Doing.UNDO else words, row.state)
        case Stage.LOOKED:
            return Standing("looked through", "ready")
        case Stage.BROUGHT:
            return Standing("imported", "finished")
        case Stage.TAKEN_OUT:
            return Standing("undone", "pending")
        case Stage.LOOKING:
            return Standing("looking through" if is_running else "waiting", row.state)
        case Stage.BRINGING:
            return Standing("importing" if is_running else "waiting", row.state)
        case Stage.TAKING_OUT:
            return Standing("undoing" if is_running else "waiting", row.state)


def may_be_changed(row: DataImport) -> bool:
    """Whether it can still be read in another way: nothing of it is here, and no worker has it."""
    return row.is_over and not has_stored(row)


def counts(found: Mapping[str, int]) -> str:
    """As in "1,200 prompts and 1 judgment"; nothing for nothing."""
    parts = [f"{count:,} {kind if count != 1 else kind[:-1]}" for kind in KINDS if (count := found.get(kind, 0))]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def added(row: DataImport) -> str:
    return counts({kind: getattr(row, f"{kind}_added") for kind in KINDS})


def came(row: DataImport) -> list[tuple[str, int]]:
    """What this kind of import adds, each with how many."""
    counted = [(kind, getattr(row, f"{kind}_added")) for kind in KINDS]
    return [(kind, count) for kind, count in counted if count or kind == row.what]
