"""Pages of rounds: the list, and one round live."""

import json

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from sampling.access import staff_required
from sampling.durations import duration
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from training import actions
from training.launching import cost
from training.launching.launch_checks import can_launch
from training.models import Stage, StageKind, StageState, TrainingRound
from training.watching import charts, progress

ROUNDS_A_PAGE = 50
SAMPLES_SHOWN = 4
LOG_LINES = 200
WHOLE_LOG_LINES = 5000


@require_GET
@staff_required
def rounds(request: HttpRequest) -> HttpResponse:
    page = Paginator(TrainingRound.objects.for_list(), ROUNDS_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "can_launch": can_launch()}
    return render(request, "training/rounds.html", context)


@require_GET
@staff_required
def round_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One round; htmx asks for its two live parts by the id of what it replaces."""
    round = get_object_or_404(TrainingRound.objects.for_page(), pk=pk)
    match request.htmx.target:
        case "round":
            return render(request, "training/_round.html", _round_context(round))
        case "stage":
            return render(request, "training/_stage.html", _stage_context(round, request.GET.get("stage")))
        case _:
            context = _round_context(round) | _stage_context(round, request.GET.get("stage"))
            context["recipe"] = json.dumps(round.recipe, indent=2, ensure_ascii=False)
            return render(request, "training/round.html", context)


@require_GET
@staff_required
def round_log(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """A stage's log: its tail as a live part, or much of it as a page."""
    stage = get_object_or_404(Stage.objects.select_related("round"), round_id=pk, kind=kind)
    if request.htmx:
        return render(request, "training/_log.html", _log_context(stage))
    context = {"stage": stage, "round": stage.round, "log": progress.log_tail(stage, lines=WHOLE_LOG_LINES)}
    return render(request, "training/log.html", context)


@require_POST
@staff_required
def round_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    round = get_object_or_404(TrainingRound, pk=pk)
    actions.cancel_round(round=round)
    return redirect(round)


@require_POST
@staff_required
def round_retry(request: HttpRequest, pk: int) -> HttpResponse:
    round = get_object_or_404(TrainingRound, pk=pk)
    try:
        actions.retry_round(round=round)
    except StaleState:
        messages.info(request, "The round was queued again already, or has finished.")
    return redirect(round)


def _round_context(round: TrainingRound) -> dict:
    evaluation = next((stage for stage in round.stages.all() if stage.kind == StageKind.EVALUATE), None)
    result = (evaluation.result if evaluation else None) or {}
    finished = evaluation is not None and evaluation.state == StageState.FINISHED
    shown = progress.of_round(round)
    return {
        "round": round,
        "progress": shown,
        "remaining": duration(cost.remaining_seconds(shown)),
        "gate": round.gate_report,
        "interval": charts.interval(*(result.get(f"win_rate{end}") for end in ("_low", "", "_high"))),
        "samples": progress.judged_prompts(evaluation, limit=SAMPLES_SHOWN) if finished else [],
    }


def _stage_context(round: TrainingRound, asked: str | None) -> dict:
    """The stage that the page shows in full: the one asked for, else the newest begun; of a round that is over, the
    newest with curves."""
    stages = list(round.stages.all())
    if asked and asked not in [stage.kind for stage in stages]:
        raise Http404(f'Round "{round}" has no stage "{asked}".')
    begun = [stage for stage in stages if stage.state != StageState.PENDING]
    shown = next((stage for stage in stages if stage.kind == asked), None) or _most_telling(round, begun)
    if shown is None:
        return {"round": round, "shown": None, "poll_url": "" if round.is_over else round.get_absolute_url()}
    return {
        "round": round,
        "shown": shown,
        "tabs": begun if shown in begun else [*begun, shown],
        "poll_url": _poll_url(round, shown, asked),
        "charts": charts.charts_of(progress.metrics(shown)),
        **_log_context(shown),
    }


def _most_telling(round: TrainingRound, begun: list[Stage]) -> Stage | None:
    newest_first = begun[::-1]
    if round.state == TaskState.FINISHED and (drawn := next(filter(progress.metrics, newest_first), None)):
        return drawn
    return newest_first[0] if begun else None


def _poll_url(round: TrainingRound, shown: Stage, asked: str | None) -> str:
    """Where the part asks for itself again. Unasked it moves on with the round; a stage that is over stays so."""
    if round.is_over or (asked and shown.state == StageState.FINISHED):
        return ""
    return f"{round.get_absolute_url()}?stage={asked}" if asked else round.get_absolute_url()


def _log_context(stage: Stage) -> dict:
    return {"stage": stage, "round": stage.round, "log": progress.log_tail(stage, lines=LOG_LINES)}
