"""A Python that has imported what several programs import, and forks each of them instead of starting it anew.

    python -m sampling.engine.warm FD MODULE MODULE ...

FD is a socket of the worker that started it (`sampling/warm_processes.py`). It says `{"ready": true}` once the modules
are imported; then, for each `{"module", "arguments", "environment", "log"}`, a child becomes what `python -m module
arguments` would be: a process group of its own, that environment, the log as its output. The child says `{"pid"}` when
it is that, and this process `{"exit"}` when it has ended, as subprocess has it. One program at a time.

Safe because nothing runs here but imports: no thread of torch's, no engine, no GPU. A child dies with this process and
this one with its worker's thread, so nothing outlives who started it. No Django here.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any


def main(channel: socket.socket, modules: list[str]) -> dict[str, Any] | None:
    """Serve until the worker hangs up. In a child, return what it is to become."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is here stays: a child that collected it would copy every page of it
    _say(channel, ready=True)
    for asked in _asked(channel):
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(asked, parent)
            _say(channel, pid=os.getpid())
            channel.close()
            return asked
        # Not reaped before the worker has read it: until then the number, and its group's, is nobody else's.
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        _say(channel, exit=ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)
        _wait_until_read(channel)
        os.waitpid(pid, 0)
    return None


def _become(asked: dict[str, Any], parent: int) -> None:
    """Everything that makes this copy a program of its own, but for running it."""
    os.setsid()
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = [asked["module"], *asked["arguments"]]


def _asked(channel: socket.socket) -> Iterator[dict[str, Any]]:
    unread = b""  # no makefile: it would keep the socket open in a child
    while more := channel.recv(65536):
        unread += more
        while b"\n" in unread:
            line, _, unread = unread.partition(b"\n")
            yield json.loads(line)


def _wait_until_read(channel: socket.socket) -> None:
    """Until the worker asks for the next program, or hangs up; what it says is left to be read."""
    channel.recv(1, socket.MSG_PEEK)


def _say(channel: socket.socket, **words: Any) -> None:
    channel.sendall(json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    asked = main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    if asked is not None:
        sys.modules.pop(asked["module"], None)  # it is run as the main module: runpy warns of a copy
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
