"""Programs that begin without importing: forked from a process that has done so once (`sampling/engine/warm.py`).

For a worker that runs many programs one after the other, each of which would first import the same libraries for many
seconds. Whoever has none of these, or one that has died, starts programs as usual: nothing depends on it but time.
"""

import contextlib
import json
import logging
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sampling import processes
from sampling.engine import run_dir as files
from sampling.engine import timings

MODULE = "sampling.engine.warm"
FORK_SECONDS = 60  # a fork takes milliseconds, on a machine that swaps seconds

log = logging.getLogger(__name__)


class WarmProcesses:
    """``modules``: what is imported, and what can be started. Belongs to the thread that made it, and dies with it."""

    def __init__(self, modules: Sequence[str], run_dir: Path, env_extra: Mapping[str, str] | None = None) -> None:
        """Begin to import; its log and its process are recorded in a run directory of its own."""
        self.modules = frozenset(modules)
        self._unread = b""
        self._ready = False
        processes.stop_leftover(run_dir)
        self._channel, theirs = socket.socketpair()
        with theirs:
            argv = [sys.executable, "-m", MODULE, str(theirs.fileno()), *modules]
            try:
                self._process: processes.Process | None = processes.start(
                    argv, run_dir, env_extra, pass_fds=[theirs.fileno()]
                )
            except BaseException:
                self._channel.close()
                raise

    def wait_until_ready(self, *, go_on: Callable[[], object]) -> None:
        """Wait for the imports, calling ``go_on`` meanwhile, which may raise. If they fail, all programs start cold."""
        while self._process is not None and not self._ready:
            said = self._heard(0.1)
            self._ready = bool(said and said.get("ready"))
            go_on()

    def start(self, argv: Sequence[str], run_dir: Path | str, env_extra: Mapping[str, str] | None = None) -> Any:
        """As `processes.start`, which it is for a program that is none of these modules."""
        is_module = list(argv[:2]) == [sys.executable, "-m"] and argv[2] in self.modules
        if not is_module or not self._ready or self._process is None:
            return processes.start(argv, run_dir, env_extra)
        run_dir = Path(run_dir).resolve()
        processes.begin(run_dir)
        asked = {
            "module": argv[2],
            "arguments": list(argv[3:]),
            "environment": processes.environment(run_dir, env_extra or {}),
            "log": str(run_dir / files.LOG),
        }
        pid = self._forked(asked)
        if pid is None:
            timings.end_attempt(run_dir)
            return processes.start(argv, run_dir, env_extra)
        return processes.recorded(processes.Process(_Forked(pid, self), run_dir))

    def close(self) -> None:
        """End it, and whatever it started that still runs."""
        self._channel.close()
        if self._process is not None:
            processes.stop(self._process, grace_seconds=0)
            timings.end_attempt(self._process.run_dir)
            self._process = None

    def _forked(self, asked: dict[str, Any]) -> int | None:
        with contextlib.suppress(OSError):
            self._channel.sendall(json.dumps(asked).encode() + b"\n")
            said = self._heard(FORK_SECONDS)
            if said and "pid" in said:
                return said["pid"]
        self._given_up()
        return None

    def _heard(self, seconds: float) -> dict[str, Any] | None:
        """What it says next; None where it says nothing in time, or nothing any more."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._unread:
            if self._process is None:
                return None
            readable, _, _ = select.select([self._channel], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return None
            more = self._channel.recv(65536)
            if not more:
                self._given_up()
                return None
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def _given_up(self) -> None:
        if self._process is not None:
            tail = files.read_log_tail(self._process.run_dir, lines=3)
            log.warning("Programs start without imports in advance: what had imported is gone. %s", tail)
            self.close()


class _Forked:
    """What `processes` asks of a `subprocess.Popen`, of a program that another process has forked."""

    def __init__(self, pid: int, warm: WarmProcesses) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._warm = warm

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired. One whose parent died was killed with it, as by the kernel."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            said = self._warm._heard(1.0 if deadline is None else max(0.0, deadline - time.monotonic()))
            if said is not None and "exit" in said:
                self.returncode = said["exit"]
            elif self._warm._process is None:
                self.returncode = -signal.SIGKILL
            elif deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return self.returncode
