"""The run directory: the one interface between a worker and a machine-learning program.

A worker writes `stage.json`; the program writes progress, metrics and, last of all, a result or an error.
Every file that is read while it may be written is put in place by a rename, so a reader sees all of it or
none of it.

This module knows nothing of Django, torch or vLLM, and nothing of what any stage does: the same few
functions serve `sampling.engine` and `training.pipeline`.
"""

import argparse
import atexit
import contextlib
import ctypes
import dataclasses
import errno
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sampling.engine import timings
from sampling.engine.phases import without_counts

STAGE = "stage.json"
PROCESS = "process.json"
LOG = "output.log"
PROGRESS = "progress.json"
METRICS = "metrics.jsonl"
RESULT = "result.json"
ERROR = "error.json"
PROVENANCE = "provenance.json"

# Set in a program's environment by whoever started it, to the run directory; inherited by all that it starts.
STARTED_FOR = "WHETSTONE_RUN_DIR"
# Beside it, the worker that did so, as `identity_of` it.
STARTED_BY = "WHETSTONE_STARTED_BY"


# Errors of the hub's library and of transformers, known by name.
MODEL_NOT_FOUND = (
    "RepositoryNotFoundError",
    "LocalEntryNotFoundError",
    "OfflineModeIsEnabled",
    "HFValidationError",
)
MODEL_NOT_FOUND_WORDS = ("is not a local folder", "couldn't connect to 'https://")


class RunDirError(Exception):
    """What a person can put right about a run: the message says what is wrong and the remedy."""


# --- the program's side -----------------------------------------------------------------------------------


def read_stage(run_dir: Path | str) -> dict[str, Any]:
    """Return what the program is told to do, or raise `RunDirError` if it was not told."""
    path = Path(run_dir) / STAGE
    try:
        stage = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunDirError(
            f"{path} does not exist. Write what is to be done into it, or choose another --run-dir."
        ) from None
    except ValueError as error:
        raise RunDirError(f"{path} is not valid JSON ({error}). Write it again.") from None
    if not isinstance(stage, dict):
        raise RunDirError(f"{path} holds a {type(stage).__name__}; it must hold one JSON object.")
    return stage


def write_stage(run_dir: Path | str, stage: dict[str, Any]) -> None:
    """Make the run directory if it is not there, and write what the program is told to do."""
    Path(run_dir).mkdir(parents=True, exist_ok=True)
    write_json(Path(run_dir) / STAGE, stage)


class Progress:
    """Writes `progress.json`: how far the program is, and what it is doing.

    At most one write every `every_seconds`, because a step may take a millisecond and a rename costs more;
    a change of phase and the last step are always written. When a phase began goes into `timings.jsonl`.
    """

    def __init__(self, run_dir: Path | str, *, unit: str, total: int = 0, every_seconds: float = 0.5) -> None:
        self.path = Path(run_dir) / PROGRESS
        self.unit = unit
        self.total = total
        self.done = 0
        self.begun_at = 0  # what an earlier attempt had done already: a rate counts from here
        self.phase = ""
        self._every_seconds = every_seconds
        self._written_at = float("-inf")

    def update(self, done: int | None = None, *, total: int | None = None, phase: str | None = None) -> None:
        """Say how much is done; what is left out stays as it was."""
        changed_phase = phase is not None and phase != self.phase
        if changed_phase and without_counts(phase) != without_counts(self.phase):
            timings.mark(self.path.parent, without_counts(phase))
        self.done = self.done if done is None else done
        self.total = self.total if total is None else total
        self.phase = self.phase if phase is None else phase
        finished = self.total > 0 and self.done >= self.total
        if changed_phase or finished or time.monotonic() - self._written_at >= self._every_seconds:
            self.write()

    def write(self) -> None:
        """Write now, however recent the last write is."""
        self._written_at = time.monotonic()
        content = {"done": self.done, "total": self.total, "unit": self.unit, "phase": self.phase}
        content |= {"begun_at": self.begun_at} if self.begun_at else {}
        # No fsync: a lost progress file costs nothing, and this is written twice a second.
        write_json(self.path, content | {"updated_at": datetime.now(UTC).isoformat()}, durable=False)


def append_metrics(run_dir: Path | str, *, step: int, **values: float) -> None:
    """Append one logged step to `metrics.jsonl`. NaN and infinity, which are not JSON, become null."""
    row = {"step": step} | {name: _finite_or_none(value) for name, value in values.items()}
    with (Path(run_dir) / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def clear_attempt(run_dir: Path | str) -> None:
    """Take away what an earlier attempt said: a reader must not take it for this one's."""
    for name in (PROGRESS, RESULT, ERROR):
        (Path(run_dir) / name).unlink(missing_ok=True)


def signs_of_life(run_dir: Path | str) -> list[Path]:
    """What a program writes to as long as it lives."""
    return [Path(run_dir) / name for name in (PROGRESS, METRICS, LOG)]


def write_result(run_dir: Path | str, result: Any) -> None:
    """Write `result.json`, which with exit code 0 means success. It must be the last thing that a program
    writes.
    """
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = dataclasses.asdict(result)
    (Path(run_dir) / ERROR).unlink(missing_ok=True)
    write_json(Path(run_dir) / RESULT, result)


def write_error(run_dir: Path | str, error: BaseException) -> None:
    """Write `error.json`: the kind of the error, and words that a person can act on."""
    content = {"error": type(error).__name__, "message": explain(error)}
    try:
        write_json(Path(run_dir) / ERROR, content)
    except OSError as failure:
        # A full disk is itself a reason to end here: the exit code and the log must then do.
        print(f"Could not write {ERROR}: {failure}", file=sys.stderr)


def explain(error: BaseException) -> str:
    """Say in plain words what went wrong and, for what commonly goes wrong, what to do about it.

    The libraries are known by the names of their errors only, so that this module imports none of them.
    """
    detail = str(error).strip() or type(error).__name__
    if isinstance(error, RunDirError):
        return detail
    if _is_out_of_memory(error, detail):
        return (
            f"Out of memory: {_first_line(detail)} "
            "Use a smaller batch, shorter completions or a smaller model, or free memory, then start it "
            "again."
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = _place(error)
        return f"The disk is full ({place}). Free some space, then start it again: what is finished is kept."
    if isinstance(error, FileNotFoundError):
        return f"{_place(error)} does not exist. Check the path, or run the step that writes it."
    if isinstance(error, PermissionError):
        return f"{_place(error)} may not be read or written. Give the worker's user the right to it."
    if type(error).__name__ in MODEL_NOT_FOUND or any(words in detail for words in MODEL_NOT_FOUND_WORDS):
        return (
            f"The model was not found: {_first_line(detail)} "
            "Give a directory that holds it, or the id of a model on a hub that this machine can reach."
        )
    return f"{type(error).__name__}: {detail}"


def main(run: Callable[[Path], Any]) -> None:
    """The body of every program: `--run-dir DIR`, then `run(DIR)`; anything that is raised ends up in
    `error.json`.

    `run` writes its own result, or returns it (a dataclass or a dict) and has it written here.
    """
    parser = argparse.ArgumentParser(description=(sys.modules["__main__"].__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--run-dir", type=Path, required=True, help="a directory that holds stage.json")
    run_dir = parser.parse_args().run_dir.resolve()
    end_when_told()
    if _is_main_process():
        clear_attempt(run_dir)
    if _is_timed(run_dir):
        timings.begin_program(run_dir)
    try:
        result = run(run_dir)
        if result is not None and _is_main_process():
            write_result(run_dir, result)
        if _is_timed(run_dir):
            timings.end_program(run_dir)
        _leave()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        if run_dir.is_dir():
            write_error(run_dir, error)
        sys.exit(1)


def end_when_told() -> None:
    """Have this process end on SIGTERM, and with one of our own programs that started it."""
    _exit_on_sigterm()
    _end_with_parent()


# --- the follower's side ----------------------------------------------------------------------------------


def read_progress(run_dir: Path | str) -> dict[str, Any] | None:
    """Return the newest progress, or None before there is any."""
    return _read_json_object(Path(run_dir) / PROGRESS)


def read_result(run_dir: Path | str) -> dict[str, Any] | None:
    """Return the result, or None while there is none."""
    return _read_json_object(Path(run_dir) / RESULT)


def read_provenance(run_dir: Path | str) -> dict[str, Any] | None:
    """Return what the program said that it ran with: code, libraries, hardware; None if it said nothing."""
    return _read_json_object(Path(run_dir) / PROVENANCE)


def read_error(run_dir: Path | str) -> dict[str, Any] | None:
    """Return `{"error", "message"}`, or None if the program left no error."""
    return _read_json_object(Path(run_dir) / ERROR)


def read_metrics(run_dir: Path | str) -> list[dict[str, Any]]:
    """Return every logged step so far, oldest first; a line that is still being written is left out."""
    return list(read_json_lines(Path(run_dir) / METRICS))


def read_log_tail(run_dir: Path | str, *, lines: int = 20, max_bytes: int = 64 * 1024) -> str:
    """Return the last lines of `output.log`, reading no more than `max_bytes` of it however long it is."""
    try:
        with (Path(run_dir) / LOG).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - max_bytes))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


# --- files ------------------------------------------------------------------------------------------------


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """Write `content` beside `path` and rename it there; `durable` also forces it to the disk first."""
    _put_in_place(path, [json.dumps(content, allow_nan=False)], durable=durable)


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one object a line, all of them or none: what is there when this returns outlives the machine."""
    _put_in_place(path, (json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n" for row in rows), durable=True)


def _put_in_place(path: Path, parts: Iterable[str], *, durable: bool) -> None:
    # The process id is in the name, so that two writers never share a half-written file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(parts)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _fsync_directory(path.parent)


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file that another process may be appending to.

    A last line without its newline is being written, or was torn by a kill: it is left out. A missing file
    is empty.
    """
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError as error:
                raise RunDirError(f"{path}, line {number} is not valid JSON ({error}).") from None


def cut_torn_line(path: Path) -> None:
    """Cut off a last line that has no newline, so that appending starts on a line of its own."""
    with contextlib.suppress(FileNotFoundError), path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:  # backwards in blocks: the file may be gigabytes, a line is not
            start = max(0, end - 64 * 1024)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            file.truncate(end)


def _read_json_object(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunDirError(f"{path} is not valid JSON ({error}); a program of ours never leaves it so.") from None
    return content if isinstance(content, dict) else {"value": content}


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems do not sync directories
            raise
    finally:
        os.close(descriptor)


def _finite_or_none(value: Any) -> Any:
    is_float = isinstance(value, float)
    return None if is_float and (value != value or value in (float("inf"), float("-inf"))) else value


def _is_out_of_memory(error: BaseException, detail: str) -> bool:
    # torch on a GPU raises OutOfMemoryError, on a CPU a RuntimeError from its allocator.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator: can't allocate memory" in detail
        or "DefaultCPUAllocator: not enough memory" in detail
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    )


def _place(error: OSError) -> str:
    return str(error.filename) if error.filename else _first_line(str(error))


def _first_line(text: str) -> str:
    line = text.splitlines()[0].strip() if text else ""
    return line if line.endswith((".", "!", "?")) else f"{line}."


def identity_of(pid: int) -> str | None:
    """Name a living process for good: its number, which may be given again, and when it started (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name, in brackets, may itself hold brackets and spaces
    return None if fields[0] in "ZX" else f"{pid} {fields[19]}"


def _end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends, if that was one of our own
    programs.

    A program that a person started by hand may outlive their shell.
    """
    if STARTED_FOR not in os.environ or sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    # The kernel tells of what ends from now on only. A launcher between the worker and us may have ended
    # with the worker while we were importing torch, and nobody would be left to end us.
    worker = os.environ.get(STARTED_BY)
    if worker and identity_of(int(worker.split()[0])) != worker:
        sys.exit("The worker ended before its program began.")


def _leave() -> None:
    """End this process here, if a worker started it, as multiprocessing ends its children: threads are waited for,
    exit handlers run, output is written; but no module is taken apart.

    That takes Python two to three seconds for torch and what is built on it, all of it memory that the kernel takes
    back at once.
    """
    if STARTED_FOR not in os.environ:
        return
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _is_main_process() -> bool:
    # accelerate launch and torchrun set RANK; a program started alone is its own main process.
    return os.environ.get("RANK", "0") == "0"


def _is_timed(run_dir: Path) -> bool:
    return _is_main_process() and run_dir.is_dir()


def _exit_on_sigterm() -> None:
    def stop(signal_number: int, _frame: Any) -> None:
        # Not sys.exit: clean-up handlers of the libraries can wait for ever on children that have just been
        # stopped by the same signal. Whatever is worth keeping was flushed as it was made.
        os._exit(128 + signal_number)

    signal.signal(signal.SIGTERM, stop)
