"""The list of rounds, one round live, and its logs."""

import json
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from annotation.datasets.withdrawn import withdrawn_in
from sampling.access import staff_required
from sampling.durations import duration
from sampling.long_tasks import TaskState
from sampling.models import ModelVersion
from training.evaluation import people
from training.launching import cost
from training.launching.launch_checks import can_launch
from training.lineage.withdrawn import marked
from training.models import Stage, StageKind, StageState, TrainingRound
from training.watching import (
    candidates,
    charts,
    comparing,
    evaluation_results,
    left_out,
    outcome,
    probes,
    progress,
    recipe_values,
    results,
    run_files,
    schedules,
    timing,
    timing_picture,
)

ROUNDS_A_PAGE = 50
LOG_LINES = 200
WHOLE_LOG_LINES = 5000


@require_GET
@staff_required
def rounds(request: HttpRequest) -> HttpResponse:
    listed = marked(TrainingRound.objects.for_list().select_related("previous"))
    page = Paginator(listed, ROUNDS_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "can_launch": can_launch(), "most_compared": comparing.MOST}
    return render(request, "training/rounds.html", context)


@require_GET
@staff_required
def round_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One round; htmx asks for its two live parts by the id of what it replaces."""
    rounds = TrainingRound.objects.for_page().select_related("overruled_by", "cloned_from", "demonstrations")
    round = get_object_or_404(rounds, pk=pk)
    match request.htmx.target:
        case "round":
            return render(request, "training/_round.html", _round_context(request, round))
        case "stage":
            return render(request, "training/_stage.html", _stage_context(request, round))
        case _:
            context = _round_context(request, round) | _stage_context(request, round)
            context["withdrawn"] = withdrawn_in(round.snapshot)
            context["told"] = recipe_values.told(round)
            context["recipe"] = json.dumps(round.recipe, indent=2, ensure_ascii=False)
            return render(request, "training/round.html", context)


@require_GET
@staff_required
def round_log(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """A stage's log: its tail as a live part, or much of it as a page."""
    stage = get_object_or_404(Stage.objects.select_related("round"), round_id=pk, kind=kind)
    if request.htmx:
        return render(request, "training/_log.html", _log_context(stage))
    context = {"stage": stage, "round": stage.round, "log": run_files.log_tail(stage, lines=WHOLE_LOG_LINES)}
    return render(request, "training/log.html", context)


def _round_context(request: HttpRequest, round: TrainingRound) -> dict[str, Any]:
    shown = progress.of_round(round)
    stages = [item.stage for item in shown.stages]
    unfinished = next((stage for stage in stages if stage.state != StageState.FINISHED), None)
    return {
        "round": round,
        "progress": shown,
        "remaining": duration(cost.remaining_seconds(shown)),
        "schedule": schedules.schedule_of(round),
        "changes": recipe_values.changes_of(round),
        "left_out": left_out.of_round(stages),
        "goes_on_at": unfinished,
        "goes_on_from_step": run_files.checkpoint_step(unfinished) if unfinished else None,
        "timing": timing_picture.drawn(timing.of_round(round, stages)),
        "tensorboard": bool(run_files.tensorboard_folders(stages)),
        **outcome.of_round(round, stages, answers_asked=request.GET.get("answers") == "1"),
    }


def _stage_context(request: HttpRequest, round: TrainingRound) -> dict[str, Any]:
    """The stage that the page shows in full: the one asked for, else the newest begun; of a finished round, the
    evaluation, or else the newest with curves."""
    asked = request.GET.get("stage")
    stages = list(round.stages.all())
    if asked and asked not in [stage.kind for stage in stages]:
        raise Http404(f'Round "{round}" has no stage "{asked}".')
    begun = [stage for stage in stages if stage.state != StageState.PENDING]
    shown = next((stage for stage in stages if stage.kind == asked), None) or _most_telling(round, begun)
    if shown is None:
        return {"round": round, "shown": None, "poll_url": "" if round.is_over else round.get_absolute_url()}
    result = run_files.result_of(shown)
    chosen = candidates.of_stage(shown) if result and shown.kind == StageKind.REJECTION_SAMPLING else None
    if shown.kind == StageKind.EVALUATE:
        result = evaluation_results.with_people(result, people.matches(round))
    probed = probes.beside_each_other(run_files.probes(shown), request.GET.get("probe"))
    return {
        "round": round,
        "shown": shown,
        "tabs": begun if shown in begun else [*begun, shown],
        "poll_url": _poll_url(round, shown, asked, probed),
        "pictures": results.pictures_of(StageKind(shown.kind), result, _names_in(result), chosen),
        "charts": charts.charts_of(run_files.metrics(shown)),
        "probes": probed,
        "phases": timing_picture.phases_of(timing.of_stage(shown)),
        "has_left_out": run_files.dropped_path(shown.run_dir) is not None,
        **_log_context(shown),
        **(_choices(request, shown) if shown.kind == StageKind.REJECTION_SAMPLING else {}),
    }


def _choices(request: HttpRequest, stage: Stage) -> dict[str, Any]:
    """A page of what rejection sampling kept, beside the worst of each prompt."""
    choices = candidates.of_stage(stage).choices
    page = Paginator(choices, run_files.SAMPLES_SHOWN).get_page(request.GET.get("page"))
    return {"page": page, "choices": page.object_list, "query": f"&stage={stage.kind}#kept"}


def _most_telling(round: TrainingRound, begun: list[Stage]) -> Stage | None:
    newest_first = begun[::-1]
    if round.state == TaskState.FINISHED:
        evaluation = (stage for stage in newest_first if stage.kind == StageKind.EVALUATE and stage.result)
        if telling := next(evaluation, None) or next(filter(run_files.metrics, newest_first), None):
            return telling
    return newest_first[0] if begun else None


def _poll_url(round: TrainingRound, shown: Stage, asked: str | None, probed: probes.Probes | None) -> str:
    """Where the part asks for itself again. Unasked it moves on with the round; a stage that is over stays so."""
    if round.is_over or (asked and shown.state == StageState.FINISHED):
        return ""
    chosen = f"&probe={probed.step}" if probed and not probed.is_newest else ""
    return f"{round.get_absolute_url()}?stage={asked}{chosen}" if asked else round.get_absolute_url()


def _names_in(result: dict | None) -> dict[str, str]:
    """The names of the models that a stage's result speaks of, by location."""
    locations = results.locations_in(result)
    return (
        dict(ModelVersion.objects.filter(location__in=locations).values_list("location", "name")) if locations else {}
    )


def _log_context(stage: Stage) -> dict[str, Any]:
    return {"stage": stage, "round": stage.round, "log": run_files.log_tail(stage, lines=LOG_LINES)}
