"""Starts, follows and stops the programs that do the machine learning, each in a run directory.

A program is a process group of its own, with an allow-listed environment. It dies with the worker that
started it; whatever outlives both is found by the next worker through `process.json` and a mark in its
environment.

No Django here, and no knowledge of what any program does: only how processes live and die on Linux.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sampling.engine import openmp, timings
from sampling.engine import run_dir as files
from sampling.engine.run_dir import RunDirError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
MARK = files.STARTED_FOR  # every process of a program carries it, even one that has left the process group

# What a program may know of the worker's environment. Anything else stays behind: the database's address,
# the secret key, the broker's address.
ALLOWED = frozenset(
    """
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR VIRTUAL_ENV LD_LIBRARY_PATH LD_PRELOAD
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy
    no_proxy DO_NOT_TRACK TOKENIZERS_PARALLELISM PYTHONWARNINGS
    """.split()  # noqa: SIM905
)
ALLOWED_PREFIXES = tuple(
    """
    ACCELERATE_ CUDA_ GOMP_ HF_ HIP_ KMP_ LC_ MKL_ NCCL_ NVIDIA_ OMP_ PYTORCH_ RAY_ ROCR_ TORCH TRACKIO_
    TRANSFORMERS_ TRITON_ VLLM_ WANDB_ XDG_
    """.split()  # noqa: SIM905
)

# Runs before the program, in its process: asks the kernel to kill it when its parent ends, then becomes the
# program. A process of its own rather than preexec_fn, which may deadlock in a worker that has threads. The
# parent is compared because it may have ended before the kernel was asked. 1 is PR_SET_PDEATHSIG, 9 is
# SIGKILL.
LAUNCHER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("The worker ended before its program began.")
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"Could not start {sys.argv[2]}: {error.strerror}")
"""


@dataclass(frozen=True)
class Finished:
    """The program ended well: exit code 0, and this result."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """The program ended badly; `reason` is for a person to act on."""

    reason: str


@dataclass(frozen=True)
class Stopped:
    """The program was stopped because it was asked to be."""


Outcome = Finished | Failed | Stopped


class Child(Protocol):
    """What is asked of a `subprocess.Popen`."""

    pid: int
    returncode: int | None

    def wait(self, timeout: float | None = None) -> int: ...


@dataclass(frozen=True)
class Process:
    """A program that this worker has started."""

    popen: Child
    run_dir: Path

    @property
    def pid(self) -> int:
        """The leader's process id, which is also the group's."""
        return self.popen.pid

    @property
    def group(self) -> int | None:
        """The process group; None once the leader was waited for: its number may then be somebody else's."""
        return self.popen.pid if self.popen.returncode is None else None


def start(
    argv: Sequence[str],
    run_dir: Path | str,
    env_extra: Mapping[str, str] | None = None,
    *,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start a program in a process group of its own, with what it says appended to `output.log`.

    It is killed when the calling thread ends, so the same thread must follow it.
    """
    run_dir = Path(run_dir).resolve()
    begin(run_dir)
    with (run_dir / files.LOG).open("ab") as log:
        popen = subprocess.Popen(
            [sys.executable, "-S", "-c", LAUNCHER, str(os.getpid()), *argv],
            cwd=PROJECT_ROOT,
            env=environment(run_dir, env_extra or {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    return recorded(Process(popen, run_dir))


def begin(run_dir: Path) -> None:
    """Prepare a run directory for an attempt, whose time counts from now on."""
    timings.begin_attempt(run_dir, signs=files.signs_of_life(run_dir))
    files.clear_attempt(run_dir)


def recorded(process: Process) -> Process:
    """The same, once a later worker can find it."""
    try:
        _record(process)
    except BaseException:  # a full disk: a program that nobody could find again must not run
        stop(process, grace_seconds=0)
        raise
    return process


def _record(process: Process) -> None:
    stat = _stat(process.pid)
    content = {
        "pid": process.pid,
        "pgid": process.pid,
        "start_ticks": stat.start_ticks if stat else 0,
        "boot_id": _boot_id(),
    }
    files.write_json(process.run_dir / files.PROCESS, content)


def environment(run_dir: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: what is allowed of ours, what it needs, and `extra`."""
    kept = {name: value for name, value in os.environ.items() if name in ALLOWED or name.startswith(ALLOWED_PREFIXES)}
    own = {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1", MARK: str(run_dir)}
    if worker := files.identity_of(os.getpid()):
        own[files.STARTED_BY] = worker
    return kept | openmp.variables(kept | extra) | own | extra


def follow(
    process: Process,
    *,
    on_tick: Callable[[], object],
    should_stop: Callable[[], bool],
    tick_seconds: float = 0.5,
    stop_grace_seconds: float = 10,
) -> Outcome:
    """Stay with a program until it ends, calling `on_tick` every `tick_seconds`; say how it ended.

    Once `should_stop()` is true, the whole group gets SIGTERM and, after `stop_grace_seconds`, SIGKILL. The
    program is stopped in the same way when a callback raises, and the error goes on to the caller.
    """
    try:
        while not _ended_within(process, tick_seconds):
            on_tick()
            if should_stop():
                stop(process, grace_seconds=stop_grace_seconds)
                return Stopped()
    except BaseException:
        stop(process, grace_seconds=stop_grace_seconds)
        raise
    finally:
        timings.end_attempt(process.run_dir)
    _kill_all(process.run_dir, process.group)  # engines and launchers that the program left behind
    return _outcome(process.run_dir, process.popen.returncode)


def stop(process: Process, *, grace_seconds: float = 10) -> None:
    """Stop a program and everything that it started: SIGTERM, then SIGKILL to what is still there."""
    _signal(_members(process.run_dir, process.group), signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while _members(process.run_dir, process.group) and time.monotonic() < deadline:
        time.sleep(0.05)
    _kill_all(process.run_dir, process.group)
    process.popen.wait()


def stop_leftover(run_dir: Path | str) -> bool:
    """Kill what an earlier worker's program left running in `run_dir`; return whether there was anything.

    A process is taken for left over only if it carries this directory's mark, writes to its log, or belongs
    to the group of the very process that `process.json` names: a number that was given to somebody else is
    never touched.
    """
    run_dir = Path(run_dir).resolve()
    return _kill_all(run_dir, _recorded_group(run_dir))


# --- how it ended -----------------------------------------------------------------------------------------


def _outcome(run_dir: Path, exit_code: int) -> Finished | Failed:
    result = files.read_result(run_dir)
    if exit_code == 0 and result is not None:
        return Finished(result)
    error = files.read_error(run_dir)
    if error and error.get("message"):
        return Failed(str(error["message"]))
    tail = files.read_log_tail(run_dir, lines=12)
    # accelerate launch reports the death of the program that it launched by name, and itself ends with 1.
    if exit_code in (-signal.SIGKILL, 128 + signal.SIGKILL) or "died with <Signals.SIGKILL" in tail:
        return Failed(
            "The program was killed by the kernel, most likely because the machine was out of memory. "
            "Use a smaller batch or a smaller model, or free memory, then start it again."
        )
    if exit_code < 0:
        how = f"was ended by {signal.Signals(-exit_code).name}"
    elif exit_code == 0:
        how = f"ended without writing {files.RESULT}"
    else:
        how = f"ended with exit code {exit_code}"
    said = f"Its last lines were:\n{tail}" if tail.strip() else f"It wrote nothing to {files.LOG}."
    return Failed(f"The program {how}. {said}")


def _ended_within(process: Process, seconds: float) -> bool:
    try:
        process.popen.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


# --- who belongs to a program -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stat:
    state: str
    pgid: int
    start_ticks: int


def _kill_all(run_dir: Path, pgid: int | None, *, patience_seconds: float = 10) -> bool:
    """Kill every process of a program and wait until all are gone; return whether there were any."""
    found = False
    deadline = time.monotonic() + patience_seconds
    while pids := _members(run_dir, pgid):
        found = True
        if time.monotonic() > deadline:
            raise RunDirError(
                f"Process {pids[0]}, left over in {run_dir}, cannot be killed: it may be waiting for a disk "
                "or a device. End it or restart the machine, then try again."
            )
        _signal(pids, signal.SIGKILL)
        time.sleep(0.02)  # and look again: one may have been starting another
    return found


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            os.kill(pid, number)


def _members(run_dir: Path, pgid: int | None) -> list[int]:
    """Return the living processes of a program: those in its group, and those that it started elsewhere.

    They inherited the mark in the environment and the log as standard output. Both are looked for, because
    an engine that renames itself in the process list writes over its environment.
    """
    mark, log = f"{MARK}={run_dir}".encode(), str(run_dir / files.LOG)
    members = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        stat = _stat(int(entry.name))
        if stat is None or stat.state in "ZX":  # a zombie is dead, and only waits for its parent to notice
            continue
        pid = int(entry.name)
        if (pgid is not None and stat.pgid == pgid) or mark in _environ(pid) or _standard_output(pid) == log:
            members.append(pid)
    return members


def _recorded_group(run_dir: Path) -> int | None:
    """Return the group that `process.json` names, if it is certain that it still is that program's."""
    try:
        recorded = json.loads((run_dir / files.PROCESS).read_text(encoding="utf-8"))
        pid, pgid, ticks = int(recorded["pid"]), int(recorded["pgid"]), int(recorded["start_ticks"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    if recorded.get("boot_id") != _boot_id():
        return None  # another machine, or before a restart: the numbers mean nothing here
    leader = _stat(pid)
    # With the leader gone, only the mark tells: a number is free again once the whole group has ended.
    return pgid if leader is not None and leader.start_ticks == ticks else None


def _stat(pid: int) -> _Stat | None:
    """Read /proc/PID/stat (proc(5)); None once the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name, in brackets, may itself hold brackets and spaces
    return _Stat(state=fields[0], pgid=int(fields[2]), start_ticks=int(fields[19]))


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []  # gone, or somebody else's: then it cannot be ours


def _standard_output(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/1")
    except OSError:
        return ""


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
