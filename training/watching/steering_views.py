"""What staff can do with a round that is there: stop it, try it again, publish its policy against the gate."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from sampling.access import staff_required
from sampling.lifecycle import StaleState
from training import actions
from training.evaluation.overruling import OverruleRefused, ReasonMissing, can_overrule, overrule_gate
from training.models import StageState, TrainingRound
from training.watching import progress, run_files


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def round_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Says what is kept, and asks; a second click, or one that comes too late, changes nothing."""
    round = get_object_or_404(TrainingRound, pk=pk)
    if request.method == "POST":
        actions.cancel_round(round=round)
        return redirect(round)
    if round.is_over or round.cancel_requested_at:
        messages.info(request, "There is nothing to cancel any more.")
        return redirect(round)
    shown = progress.of_round(round)
    context = {
        "round": round,
        "finished": [item.stage for item in shown.stages if item.stage.state == StageState.FINISHED],
        "running": shown.running,
        "step": run_files.checkpoint_step(shown.running.stage) if shown.running else None,
    }
    return render(request, "training/round_cancel.html", context)


@require_POST
@staff_required
def round_retry(request: HttpRequest, pk: int) -> HttpResponse:
    round = get_object_or_404(TrainingRound, pk=pk)
    try:
        actions.retry_round(round=round)
    except StaleState:
        messages.info(request, "The round was queued again already, or has finished.")
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    return redirect(round)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def round_overrule(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks for the reason, which is the confirmation too; a second click finds it done and says so."""
    round = get_object_or_404(TrainingRound.objects.select_related("policy", "overruled_by"), pk=pk)
    reason, error = request.POST.get("reason", ""), ""
    try:
        if request.method == "POST":
            overrule_gate(round=round, by=request.user, reason=reason)
            messages.success(request, f"{round.policy} is published, and your reason is on record.")
            return redirect(round)
    except ReasonMissing as refused:
        error = str(refused)
    except OverruleRefused as refused:
        messages.info(request, str(refused))
        return redirect(round)
    if not can_overrule(round):
        messages.info(request, "There is no gate to overrule here.")
        return redirect(round)
    context = {"round": round, "gate": round.gate_report, "reason": reason, "error": error}
    return render(request, "training/round_overrule.html", context, status=422 if error else 200)
