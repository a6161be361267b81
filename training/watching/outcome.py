"""What came of a round, for its page: by whom the policy was judged, what the gate asks of it, and its answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluation import blind_tests, gate, people
from training.evaluation.overruling import can_overrule
from training.models import Stage, StageKind, StageState, TrainingRound
from training.watching import answers, evaluation_results, run_files, worth_a_look
from training.watching.warnings import Level


def of_round(round: TrainingRound, stages: Sequence[Stage], *, answers_asked: bool) -> dict[str, Any]:
    """``answers_asked``: whoever looks wants the labelled answers even while people judge them blindly."""
    by_people = people.matches(round)
    results = {StageKind(stage.kind): run_files.result_of(stage) for stage in stages}
    looks = worth_a_look.of_round(stages, by_people)
    judging = blind_tests.shown(round) if round.is_over and round.policy else {}
    hidden = judging.get("blind_unfinished", False) and not answers_asked
    return {
        "worth_a_look": looks,
        "warned": sum(look.warning.level != Level.NOTE for look in looks),
        "can_overrule": can_overrule(round),
        **_gate(round, results),
        **_answers(stages, by_people, hidden=hidden),
        **judging,
    }


def _gate(round: TrainingRound, results: Mapping[StageKind, Mapping[str, Any]]) -> dict[str, Any]:
    not_asked = gate.not_asked(
        conditions=round.recipe.get("gate"),
        evaluation=results.get(StageKind.EVALUATE),
        harness=results.get(StageKind.HARNESS),
    )
    return {"gate": round.gate_report, "gate_not_asked": not_asked}


def _answers(stages: Sequence[Stage], by_people: Sequence[Mapping[str, Any]], *, hidden: bool) -> dict[str, Any]:
    """Nothing while there is no evaluation. Hidden, the answers are not even read."""
    evaluation = next((stage for stage in stages if stage.kind == StageKind.EVALUATE), None)
    if evaluation is None or evaluation.state != StageState.FINISHED:
        return {"win_rate": None, "samples": [], "answers_hidden": False}
    result = evaluation_results.with_people(run_files.result_of(evaluation), by_people)
    return {
        "win_rate": evaluation_results.win_rate(result),
        "samples": [] if hidden else answers.first_of_each_prompt(evaluation, run_files.SAMPLES_SHOWN),
        "pairs": 0 if hidden else answers.counts(evaluation).total(),
        "judge": "" if hidden else answers.judge_of(evaluation),
        "answers_hidden": hidden,
    }
