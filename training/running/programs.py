"""How a round's programs are started: on a CPU from one process that has imported for all of them.

Each stage would else begin with many seconds of imports, the same ones every time, and in a short round these are what
most of the overhead is. With a GPU they start one by one: imports may ask the driver what there is, and a process that
has done so can no longer be forked; there a stage lasts long enough.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sampling import processes
from sampling.engine.run_dir import RunDirError
from sampling.warm_processes import WarmProcesses
from training.models import Stage, StageKind, TrainingRound
from training.running import round_plan

log = logging.getLogger(__name__)

WARM = "warm"  # in the round's directory: its own log and process
PROGRAMS = "training.pipeline."


class Cold:
    """Every program starts by itself."""

    start = staticmethod(processes.start)

    def wait_until_ready(self, **_: object) -> None:
        """There is nothing to wait for."""


@contextmanager
def starter(round: TrainingRound, stages: Iterable[Stage]) -> Iterator[WarmProcesses | Cold]:
    """Who starts the programs of these stages, in this thread; whatever is left of them is ended with the block."""
    has_gpu = round_plan.has_gpu()
    modules = [] if has_gpu else [name for stage in stages if (name := _module_of(stage))]
    if len(modules) < 2:  # one alone begins as soon by itself
        yield Cold()
        return
    # Threads are counted when torch is imported, so what the programs would be told of them is told here.
    told = round_plan.environment_of(StageKind.DPO, has_gpu=False)
    try:
        warm = WarmProcesses(modules, round.run_dir / WARM, told)
    except (OSError, RunDirError) as error:
        log.warning("Programs start without imports in advance: %s", error)
        yield Cold()
        return
    try:
        yield warm
    finally:
        warm.close()


def _module_of(stage: Stage) -> str:
    """The module that its program is; empty for another kind of program."""
    argv = round_plan.program_of(StageKind(stage.kind), stage.run_dir, has_gpu=False)
    return argv[2] if argv[1] == "-m" and argv[2].startswith(PROGRAMS) else ""
