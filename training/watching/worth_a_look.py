"""All warnings of a round, each with its stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from training.models import Stage, StageKind
from training.watching import evaluation_results, result_warnings, run_files, warnings
from training.watching.warnings import Warning


@dataclass(frozen=True)
class WorthALook:
    stage: Stage
    warning: Warning


def of_round(stages: Sequence[Stage], by_people: Sequence[Mapping[str, Any]] = ()) -> list[WorthALook]:
    """Those of the stages that have begun, the newest stage first: what runs now can still be stopped.

    ``by_people``: the round's matches before people, where it has blind tests.
    """
    return [WorthALook(stage, warning) for stage in reversed(stages) for warning in of_stage(stage, by_people)]


def of_stage(stage: Stage, by_people: Sequence[Mapping[str, Any]] = ()) -> list[Warning]:
    result = run_files.result_of(stage)
    kind = StageKind(stage.kind)
    match kind:
        case StageKind.DEMONSTRATIONS | StageKind.SFT | StageKind.DPO:
            told = stage.round.recipe.get(kind.value, {})
            of_curves = warnings.of_training(run_files.metrics(stage), beta=told.get("beta"))
            of_answers = warnings.of_answers(
                run_files.probes(stage), limit=told.get("probe_tokens"), is_dpo=kind == StageKind.DPO
            )
            return warnings.worst_first([*of_curves, *of_answers])
        case StageKind.REWARD_MODEL | StageKind.JUDGE_MODEL:
            return warnings.of_training(run_files.metrics(stage)) + result_warnings.of_reward_model(result)
        case StageKind.REJECTION_SAMPLING:
            return result_warnings.of_rejection_sampling(result, stage.round.recipe.get(kind.value))
        case StageKind.EVALUATE:
            found = evaluation_results.with_people(result, by_people)
            return result_warnings.of_evaluation(found, has_dpo=bool(stage.round.recipe.get(StageKind.DPO)))
        case StageKind.HARNESS:
            return result_warnings.of_harness(result)
        case StageKind.CHECK:
            return []
        case _:
            assert_never(kind)
