"""A stage's program that stops where a test wants to kill it, with a fake engine where it would start the real one.

    python -m tests.training.pipeline.stage_that_waits KIND PHASE --run-dir DIR

It waits as soon as its progress shows PHASE; with an empty PHASE it goes on to its end. Each policy that is asked to
write is noted in asked.txt beside the run directory.
"""

import functools
import importlib
import inspect
import sys
import time
from pathlib import Path

from sampling.engine.run_dir import Progress, main
from tests.training.pipeline.runs import FakeEngine


class NotingEngine(FakeEngine):
    def __call__(self, run_dir: Path, **how):
        result = super().__call__(run_dir, **how)
        with (run_dir.parents[1] / "asked.txt").open("a") as file:
            file.write(f"{Path(self.models[-1]).name}\n")
        return result


def program(kind: str):
    """The stage's `run`, whose engine writes the same at every start."""
    run = importlib.import_module(f"training.pipeline.{kind}").run
    if "generate" not in inspect.signature(run).parameters:
        return run
    return functools.partial(run, generate=NotingEngine(answer))


def answer(model: str, prompt_id: str, index: int) -> tuple[str, str]:
    return f"{Path(model).name}, {prompt_id}: {'so ' * index}.", "stop"


def wait_at(phase: str) -> None:
    write = Progress.write

    def and_wait(self: Progress) -> None:
        write(self)
        if self.phase == phase:
            time.sleep(600)

    Progress.write = and_wait


if __name__ == "__main__":
    kind, phase = sys.argv[1:3]
    del sys.argv[1:3]
    if phase:
        wait_at(phase)
    main(program(kind))
