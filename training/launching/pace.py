"""How long stages really take on this machine, beside what they were expected to: a factor for each kind of stage.

An estimate is arithmetic with coefficients of another machine (`estimates`). Each stage of a round that finished here
says by how much it was wrong: real seconds over estimated ones. The median over the last few rounds is what the next
estimate is multiplied by, on the launch form and for what is left of a running round alike. A stage that was resumed
says nothing: its time is that of its last attempt alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from sampling.long_tasks import TaskState
from training.launching import expected
from training.models import Stage, StageState, TrainingRound

LAST_ROUNDS = 5
READ = ("round_id", "kind", "started_at", "finished_at")  # of a stage: its results are long
FASTEST, SLOWEST = 0.02, 50.0  # beyond it something else was measured, such as a machine that slept


@dataclass(frozen=True)
class Pace:
    by_kind: Mapping[str, float]  # real seconds for each that was expected; only of what has been measured
    rounds: int  # how many were measured

    def applied_to(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """What stages take here, from what they are expected to take anywhere."""
        return {kind: self.by_kind.get(kind, 1.0) * each for kind, each in seconds.items()}


def of_this_machine() -> Pace:
    rounds = TrainingRound.objects.filter(state=TaskState.FINISHED).order_by("-finished_at")[:LAST_ROUNDS]
    keys = dict(rounds.values_list("pk", "request_key"))
    ratios: dict[str, list[float]] = {}
    measured = set()
    for stage in Stage.objects.filter(round__in=keys, state=StageState.FINISHED, attempts=1).only(*READ):
        there = expected.seconds_of_round(stage.round_id, keys[stage.round_id]).get(stage.kind)
        if there and stage.seconds:
            ratios.setdefault(stage.kind, []).append(stage.seconds / there)
            measured.add(stage.round_id)
    by_kind = {kind: min(SLOWEST, max(FASTEST, median(each))) for kind, each in ratios.items()}
    return Pace(by_kind, len(measured))
