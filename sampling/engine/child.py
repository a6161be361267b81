"""An engine in a child process: told one run directory after another, and alive in between.

A child, so that whatever vLLM holds is free again when it ends. It is started with the first run and not before, and
serves the next ones too: importing vLLM takes longer than starting an engine. No vLLM here, and no torch.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sampling.engine import jobs, openmp
from sampling.engine import run_dir as files
from sampling.engine.run_dir import RunDirError

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_END = 30


class GenerationFailed(RunDirError):
    """A child process that was to write completions ended badly."""


class EngineChild:
    """Samples runs, one at a time: `with EngineChild() as engine: engine(run_dir)`.

    The child stays in the caller's process group and writes to the caller's output, so whoever stops or reads the
    caller stops and reads it too.
    """

    def __init__(self, module: str = jobs.MODULE) -> None:
        self._module = module
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(
        self, run_dir: Path | str, *, on_progress: Callable[[dict[str, Any]], object] | None = None
    ) -> dict[str, Any]:
        """Sample what is missing in `run_dir`; return its `result.json`.

        `on_progress` gets the run's `progress.json` twice a second, and at the end. Raises `GenerationFailed` with the
        child's own words.
        """
        run_dir = Path(run_dir).resolve()
        files.clear_attempt(run_dir)
        child = self._running(run_dir)
        _tell(child, {"run_dir": str(run_dir)})
        while (is_done := _has_answered(child)) is None:
            _show(run_dir, on_progress)
        _show(run_dir, on_progress)
        if is_done and (result := files.read_result(run_dir)) is not None:
            return result
        self.close()
        error = files.read_error(run_dir)
        raise GenerationFailed(
            error["message"]
            if error
            else f"vLLM ended with exit code {child.returncode}, most likely out of memory. Use a smaller model "
            "or shorter completions, or free memory, then start it again."
        )

    def make_room(self) -> None:
        """To be called before a model is loaded: an engine that it would not fit beside is closed. The next run
        starts one again, in the same child.
        """
        if self._child is not None:
            _tell(self._child, {"make_room": True})
            while (is_done := _has_answered(self._child)) is None:
                pass
            if not is_done:
                self.close()

    def close(self) -> None:
        """Let the child end, if there is one, and wait until its memory is free."""
        if self._child is not None:
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(SECONDS_TO_END)
            self.kill()

    def kill(self) -> None:
        """End the child at once."""
        if self._child is not None:
            child, self._child = self._child, None
            if child.poll() is None:
                child.kill()
            child.wait()
            child.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()

    def _running(self, run_dir: Path) -> "subprocess.Popen[bytes]":
        if self._child is not None and self._child.poll() is not None:
            self.kill()  # it died between two runs, as it does when the machine runs out of memory
        if self._child is None:
            self._child = _start(self._module, run_dir)
        return self._child


def _start(module: str, run_dir: Path) -> "subprocess.Popen[bytes]":
    # Marked, unless our own starter has marked us: so the child ends with this process whatever happens to it.
    environment = {files.STARTED_FOR: str(run_dir)} | os.environ | openmp.variables(os.environ)
    project_root = Path(__file__).resolve().parents[2]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(project_root), os.environ.get("PYTHONPATH")]))
    argv = [sys.executable, "-m", module]
    return subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _tell(child: "subprocess.Popen[bytes]", order: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # that it has ended is seen when it is asked for its answer
        child.stdin.write(json.dumps(order).encode() + b"\n")
        child.stdin.flush()


def _has_answered(child: "subprocess.Popen[bytes]") -> bool | None:
    """Whether the order was carried out, once the child has answered or ended; None if it has not for half a second."""
    ready, _, _ = select.select([child.stdout], [], [], SECONDS_BETWEEN_LOOKS)
    if ready:
        line = child.stdout.readline()
        if line:
            return json.loads(line)["done"]
    elif child.poll() is None:
        return None
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(SECONDS_TO_END)
    return False


def _show(run_dir: Path, on_progress: Callable[[dict[str, Any]], object] | None) -> None:
    if on_progress and (progress := files.read_progress(run_dir)):
        on_progress(progress)
