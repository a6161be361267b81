"""What the programs of a round left in their run directories, for pages.

Reads only, and bears any file to be missing, torn or odd: what is not as it should be is left out. Pages ask every few
seconds, so a file is read again only when it has changed.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from sampling.engine import run_dir as files
from training.models import Stage, StageKind, StageState
from training.watching import trusted

LOG_BYTES = 128 * 1024
# Colours and cursor movements, which a terminal would act on and a page would show as rubbish.
TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
JUDGED, PROBES, DROPPED, CHECK = "judged.jsonl", "probes.jsonl", "dropped.jsonl", "check.json"
CHECKPOINTS, TENSORBOARD = "trainer", "tensorboard"
SAMPLES_SHOWN = 4  # prompts whose old and new answers the round's page lays side by side

Row = Mapping[str, Any]


def metrics(stage: Stage) -> list[Row]:
    """Every logged step so far."""
    return read_once(_metrics, stage.run_dir / files.METRICS)


def probes(stage: Stage) -> list[Row]:
    """What the policy answered to the same few prompts along the stage: ``{"step", "index", "prompt", "text"}``."""
    return read_once(_probes, stage.run_dir / PROBES)


def progress_of(stage: Stage) -> Mapping[str, Any]:
    """How far the program says that it is; nothing while it has not said."""
    try:
        return trusted.PROGRESS(files.read_progress(stage.run_dir)) or {}
    except (files.RunDirError, OSError):
        return {}


def result_of(stage: Stage) -> Mapping[str, Any]:
    """What the stage's program found; of a check also where it then ended badly because of that, without a result."""
    found = stage.result
    if not found and stage.kind == StageKind.CHECK:
        found = json_in(stage.run_dir / CHECK)
    return trusted.RESULT(found) or {}


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


def judged_rows(folder: Path) -> Iterator[Row]:
    """Old and new answers side by side, from an evaluation, as the first judge sees them. Streamed.

    An evaluation of several matches writes one row a match and judge; the first judge's over the old policy lead.
    """
    judge = None
    for row in rows(folder / JUDGED, trusted.JUDGED):
        judge = row.get("judge") if judge is None else judge
        if row.get("opponent", "old") == "old" and row.get("judge") == judge:
            yield row


def judged_prompts(stage: Stage, *, limit: int | None = None) -> list[Row]:
    """Of ``judged_rows`` the first of each of so many prompts."""
    seen: set[Any] = set()

    def is_first(row: Row) -> bool:
        key = row.get("prompt_id") or str(row.get("prompt"))
        return not row.get("index") and key not in seen and not seen.add(key)

    return list(islice(filter(is_first, judged_rows(stage.run_dir)), limit))


def dropped_rows(folder: Path, *, reason: str = "", of: str = "") -> Iterator[Row]:
    """The rows that the program in ``folder`` left out; only those of a reason, or meant for the stage ``of``.

    Streamed: the file may be long.
    """
    found = rows(folder / DROPPED, trusted.LEFT_OUT)
    return (
        row for row in found if (not reason or row.get("reason") == reason) and (not of or row.get("stage", of) == of)
    )


def dropped_reasons(folder: Path) -> Counter[tuple[str, str]]:
    """How many rows were left out, by the stage that they were meant for ("" for the program's own) and the reason."""
    return Counter((row.get("stage", ""), row.get("reason", "")) for row in dropped_rows(folder))


def dropped_path(folder: Path) -> Path | None:
    """The file of the rows that were left out, where there is one."""
    path = folder / DROPPED
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


def rows(path: Path, shape: trusted.Shape) -> Iterator[Row]:
    """The rows of that shape, up to a line that cannot be read: a page shows what there is."""
    try:
        for row in files.read_json_lines(path):
            if (known := shape(row)) is not None:
                yield known
    except (files.RunDirError, OSError, UnicodeDecodeError):
        return


def read_once(read: Callable[..., Any], *paths: Path) -> Any:
    """What ``read`` makes of the files, which is asked again only when one of them has changed."""
    return _read_once(read, paths, tuple(map(_version, paths)))


@lru_cache(maxsize=64)
def _read_once(read: Callable[..., Any], paths: tuple[Path, ...], versions: tuple[Any, ...]) -> Any:
    return read(*paths)


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _metrics(path: Path) -> list[Row]:
    return list(rows(path, trusted.metrics_row))


def _probes(path: Path) -> list[Row]:
    return list(rows(path, trusted.PROBE))


def json_in(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
