"""All warnings of a round, each with its stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from training.models import Stage, StageKind
from training.watching import result_warnings, run_files, warnings
from training.watching.warnings import Warning


@dataclass(frozen=True)
class WorthALook:
    stage: Stage
    warning: Warning


def of_round(stages: Sequence[Stage]) -> list[WorthALook]:
    """Those of the stages that have begun, the newest stage first: what runs now can still be stopped."""
    return [WorthALook(stage, warning) for stage in reversed(stages) for warning in of_stage(stage)]


def of_stage(stage: Stage) -> list[Warning]:
    result = stage.result or {}
    kind = StageKind(stage.kind)
    match kind:
        case StageKind.DEMONSTRATIONS | StageKind.SFT:
            return warnings.of_training(run_files.metrics(stage))
        case StageKind.DPO:
            beta = stage.round.recipe.get(kind.value, {}).get("beta")
            return warnings.of_training(run_files.metrics(stage), beta=beta)
        case StageKind.REWARD_MODEL | StageKind.JUDGE_MODEL:
            return warnings.of_training(run_files.metrics(stage)) + result_warnings.of_reward_model(result)
        case StageKind.REJECTION_SAMPLING:
            return result_warnings.of_rejection_sampling(result)
        case StageKind.EVALUATE:
            return result_warnings.of_evaluation(result)
        case StageKind.HARNESS:
            return result_warnings.of_harness(result)
        case StageKind.CHECK:
            return []
        case _:
            assert_never(kind)
