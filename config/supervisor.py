"""Starts the product's processes, keeps them running, and ends every one of them.

For one machine: `manage.py serve` says which programs. Each runs in a session of its own, so that Ctrl-C reaches only
the supervisor, which then ends them in order. Whatever a program leaves behind becomes a child of the supervisor (it is
a "subreaper") and is ended too; should the supervisor be killed, the kernel ends the programs. No Django here.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# For what ends when asked. A worker stops its program and hands the row back meanwhile, in about two seconds; what
# takes longer is killed, and resumes later.
STOP_SECONDS = 8
LOG_LIMIT = 10_000_000  # bytes; then the log is moved aside at the next start
LONGEST_PAUSE = 30  # seconds between two starts of a program that keeps ending
STEADY_AFTER = 60  # seconds of life after which an end is not counted with earlier ones
COLOURS = (36, 32, 33, 35, 34)

# Runs before the program, in its process: asks the kernel for a signal when the parent is gone. A program of its own,
# for Python code between fork and exec may hang in a process with threads, and copying the outputs takes threads.
LAUNCHER = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, int(sys.argv[2]), 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("The supervisor ended before its program began.")
os.execvp(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True)
class Program:
    """One process to keep running. ``orphan_signal`` is what it gets from the kernel when the supervisor is killed."""

    name: str
    argv: Sequence[str]
    orphan_signal: signal.Signals = signal.SIGKILL


class Output:
    """Where the programs' lines go: the console, each with its program's name, or a log file for each."""

    def __init__(self, *, log_dir: Path | None = None, console: IO[str] | None = None) -> None:
        self.log_dir = log_dir
        self.console = console or sys.stdout
        self._lock = threading.Lock()
        self._names: list[str] = []
        if log_dir:
            log_dir.mkdir(parents=True, exist_ok=True)

    def say(self, name: str, line: str) -> None:
        """One whole line, never mixed with another program's."""
        with self._lock:
            if name not in self._names:
                self._names.append(name)
            label = f"{name:<11}"
            if self.console.isatty():
                label = f"\033[{COLOURS[self._names.index(name) % len(COLOURS)]}m{label}\033[0m"
            with contextlib.suppress(OSError):  # the terminal is gone: no reason to leave processes behind
                print(f"{label}| {line.rstrip()}", file=self.console, flush=True)

    def log_of(self, name: str) -> Path | None:
        return self.log_dir / f"{name}.log" if self.log_dir else None

    def attach(self, name: str) -> tuple[int | IO[bytes], Callable[[subprocess.Popen], None]]:
        """What to give Popen as stdout, and what to call once it runs."""
        path = self.log_of(name)
        if path is None:
            return subprocess.PIPE, lambda process: self._copy(name, process)
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        file = open(path, "ab")  # noqa: SIM115 - closed once the program has it
        return file, lambda process: file.close()

    def _copy(self, name: str, process: subprocess.Popen) -> None:
        def copy() -> None:
            for line in process.stdout:
                self.say(name, line.decode(errors="replace"))

        threading.Thread(target=copy, name=f"output of {name}", daemon=True).start()


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen | None = None
    started_at: float = 0.0
    ends: int = 0
    start_again_at: float = field(default=0.0)


class Supervisor:
    """Keeps ``programs`` running until ``stop``. ``spare`` tells which other child processes to leave alone."""

    def __init__(
        self,
        programs: Sequence[Program],
        output: Output,
        *,
        env: dict[str, str],
        spare: Callable[[int], bool] = lambda pid: False,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self.stop_seconds = stop_seconds
        self.children = [_Child(program) for program in programs]
        self.output = output
        self.env = env
        self.spare = spare
        self.foreground: subprocess.Popen | None = None
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(self) -> None:
        for child in self.children:
            self._start(child)

    def check(self) -> None:
        """Look after every program once: note its end, and start it again when its pause is over."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._ended(child, now)
            if child.process is None and now >= child.start_again_at:
                self._start(child)
        self._bury()

    def keeps_ending(self, name: str) -> bool:
        """Whether a program has ended again and again within its first moments: waiting longer will not help."""
        return any(child.program.name == name and child.ends >= 4 for child in self.children)

    def run_foreground(self, argv: Sequence[str], env: dict[str, str], stopping: Callable[[], bool]) -> int:
        """Run one command on this terminal, with the programs looked after meanwhile; return its exit code.

        When ``stopping`` turns true it is asked to end, and killed if it does not.
        """
        self.foreground = subprocess.Popen(_dying_with_us(argv, signal.SIGTERM), env=env)
        while self.foreground.poll() is None:
            if stopping():
                return self._end_foreground()
            self.check()
            time.sleep(0.2)
        return self.foreground.returncode

    def stop(self) -> None:
        """End every program, and whatever they left behind. Returns when no process of theirs is left."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            _signal_group(process.pid, signal.SIGTERM)
        _wait_for(lambda: all(process.poll() is not None for process in running), self.stop_seconds)
        for process in running:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        for child in self.children:
            child.process = None
        self._end_orphans()

    def _start(self, child: _Child) -> None:
        stdout, attached = self.output.attach(child.program.name)
        child.process = subprocess.Popen(
            _dying_with_us(child.program.argv, child.program.orphan_signal),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            env=self.env,
            start_new_session=True,
        )
        attached(child.process)
        child.started_at = time.monotonic()

    def _ended(self, child: _Child, now: float) -> None:
        process, child.process = child.process, None
        _signal_group(process.pid, signal.SIGKILL)  # its own workers must not hold the port, or the queue
        child.ends = 1 if now - child.started_at > STEADY_AFTER else child.ends + 1
        pause = min(2 ** (child.ends - 1), LONGEST_PAUSE)
        child.start_again_at = now + pause
        log = self.output.log_of(child.program.name)
        where = f" See {log}." if log else ""
        how = _how_it_ended(process.returncode)
        self.output.say("whetstone", f"{child.program.name} {how}; it starts again in {pause} s.{where}")

    def _end_foreground(self) -> int:
        # A Ctrl-C on the terminal has reached it already; a SIGTERM to us has not.
        if not _wait_for(lambda: self.foreground.poll() is not None, 1):
            self.foreground.terminate()
        if not _wait_for(lambda: self.foreground.poll() is not None, self.stop_seconds):
            self.foreground.kill()
        return self.foreground.wait()

    def _known(self) -> set[int]:
        own = [child.process for child in self.children] + [self.foreground]
        return {process.pid for process in own if process is not None}

    def _orphans(self) -> list[int]:
        """Processes that a program of ours has left behind: children of this one that it never started."""
        return [pid for pid in children_of(os.getpid()) if pid not in self._known() and not self.spare(pid)]

    def _end_orphans(self) -> None:
        for signal_number, seconds in ((signal.SIGTERM, self.stop_seconds / 2), (signal.SIGKILL, 2)):
            for pid in self._orphans():
                _signal_group(os.getpgid(pid) if _exists(pid) else pid, signal_number, leader=pid)
            if _wait_for(lambda: not self._bury(), seconds):
                return

    def _bury(self) -> list[int]:
        """Take note of orphans that have ended, which would stay as zombies; return those that are alive."""
        alive = []
        for pid in self._orphans():
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
            if not ended:
                alive.append(pid)
        return alive


def children_of(pid: int) -> list[int]:
    """The direct children of a process, threads' children included."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(part) for part in path.read_text().split()]
        except OSError:
            continue
    return found


def _dying_with_us(argv: Sequence[str], signal_number: signal.Signals) -> list[str]:
    return [sys.executable, "-S", "-c", LAUNCHER, str(os.getpid()), str(int(signal_number)), *argv]


def _signal_group(group: int, signal_number: signal.Signals, leader: int | None = None) -> None:
    try:
        if leader is not None and group == os.getpgrp():
            os.kill(leader, signal_number)  # never our own group
        else:
            os.killpg(group, signal_number)
    except ProcessLookupError:
        pass


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _how_it_ended(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    name = signal.Signals(-returncode).name
    hint = " (out of memory?)" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _wait_for(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
