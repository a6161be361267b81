"""What the programs of a round left in their run directories, for pages. Reads only, and bears any file to be missing.

Pages ask every few seconds, so a file is read again only when it has changed.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from sampling.engine import run_dir as files
from training.models import Stage, StageState

LOG_BYTES = 128 * 1024
# Colours and cursor movements, which a terminal would act on and a page would show as rubbish.
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
JUDGED, PROBES, DROPPED, CHECK = "judged.jsonl", "probes.jsonl", "dropped.jsonl", "check.json"
CHECKPOINTS, TENSORBOARD = "trainer", "tensorboard"

Row = Mapping[str, Any]


def metrics(stage: Stage) -> list[Row]:
    """Every logged step so far."""
    return _whole(stage.run_dir / files.METRICS)


def probes(stage: Stage) -> list[Row]:
    """What the policy answered to the same few prompts along the stage: ``{"step", "index", "prompt", "text"}``."""
    return _whole(stage.run_dir / PROBES)


def progress_of(stage: Stage) -> Mapping[str, Any]:
    """How far the program says that it is; nothing while it has not said."""
    try:
        return files.read_progress(stage.run_dir) or {}
    except (files.RunDirError, OSError):
        return {}


def found_by_check(stage: Stage) -> Mapping[str, Any] | None:
    """What a check found that then ended badly because of it: it has no result, and says all the same."""
    try:
        found = json.loads((stage.run_dir / CHECK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def log_tail(stage: Stage, *, lines: int) -> str:
    """The last lines of the program's log as a terminal would show them: of a redrawn bar, its last state."""
    try:
        with (stage.run_dir / files.LOG).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    shown = (line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.rstrip("\n").split("\n"))
    return TERMINAL_CODES.sub("", "\n".join(list(shown)[-lines:]))


def judged_prompts(stage: Stage, *, limit: int | None = None) -> list[Row]:
    """Old and new answers side by side, from an evaluation: the first of each of so many prompts, the first judge's.

    An evaluation of several matches writes one row a match and judge; the first judge's over the old policy lead.
    """
    seen: set[Any] = set()

    def is_first(row: Row) -> bool:
        key = row.get("prompt_id") or str(row.get("prompt"))
        wanted = row.get("opponent", "old") == "old" and not row.get("index") and key not in seen
        return wanted and not seen.add(key)

    return _quietly(filter(is_first, files.read_json_lines(stage.run_dir / JUDGED)), limit)


def dropped_rows(stage: Stage, *, reason: str = "", of: str = "") -> Iterator[Row]:
    """The rows that a stage left out, one after the other; only those of a reason, or meant for the stage ``of``."""
    rows = files.read_json_lines(stage.run_dir / DROPPED)
    return (
        row for row in rows if (not reason or row.get("reason") == reason) and (not of or row.get("stage", of) == of)
    )


def dropped_page(stage: Stage, *, reason: str, of: str, start: int, rows: int) -> list[Row]:
    """``rows`` of them from ``start`` on. Streamed: the file may be long."""
    return list(islice(_bearing(dropped_rows(stage, reason=reason, of=of)), start, start + rows))


def dropped_reasons(stage: Stage) -> Counter[tuple[str, str]]:
    """How many rows were left out, by the stage that they were meant for and the reason."""
    rows = _bearing(dropped_rows(stage))
    return Counter((str(row.get("stage", stage.kind)), str(row.get("reason", ""))) for row in rows)


def dropped_path(stage: Stage) -> Path | None:
    """The file of the rows that were left out, where there is one."""
    path = stage.run_dir / DROPPED
    return path if path.is_file() else None


def checkpoint_step(stage: Stage) -> int | None:
    """The step of the newest checkpoint along the way, from which an unfinished stage would go on."""
    if stage.state == StageState.FINISHED:
        return None
    folders = (stage.run_dir / CHECKPOINTS).glob("checkpoint-*")
    steps = [int(number) for folder in folders if (number := folder.name.removeprefix("checkpoint-")).isdecimal()]
    return max(steps, default=None)


def tensorboard_folders(stages: list[Stage]) -> list[Path]:
    """Where the stages wrote files for TensorBoard."""
    return [folder for stage in stages if (folder := stage.run_dir / TENSORBOARD).is_dir()]


def _whole(path: Path) -> list[Row]:
    try:
        found = path.stat()
    except OSError:
        return []
    return _read_once(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=64)
def _read_once(path: Path, changed_ns: int, size_bytes: int) -> list[Row]:
    return _quietly(files.read_json_lines(path))


def _quietly(rows: Iterator[Row], limit: int | None = None) -> list[Row]:
    return list(islice(_bearing(rows), limit))


def _bearing(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows up to one that cannot be read: a page shows what there is."""
    try:
        yield from rows
    except (files.RunDirError, OSError, UnicodeDecodeError):
        return
