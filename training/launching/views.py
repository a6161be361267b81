"""The form that launches a round, and what is known of the round before it starts."""

import uuid

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from sampling.access import staff_required
from training import actions
from training.launching import checking, launch_checks, prefill
from training.launching.forms import OF_THE_ROUND, RoundForm
from training.launching.panel import panel_of
from training.models import LaunchCheck, TrainingRound


@require_http_methods(["GET", "POST"])
@staff_required
def round_new(request: HttpRequest) -> HttpResponse:
    """The form and what is known of the round that it asks for.

    Posted with "check" (or "cancel_check") it has the data checked (or no longer), without JavaScript too.
    """
    if request.method == "GET":
        follows = _round_asked_for(request, "continue")
        if follows and (problem := launch_checks.previous_problem(follows)):
            context = {"heading": prefill.heading(follows, None), "follows": follows, "why_not": problem}
            return render(request, "training/round_new.html", context)
        form = RoundForm(initial=_initial(request, follows))
        return _page(request, form, _as_sent(form))
    form = RoundForm(request.POST)
    if "cancel_check" in request.POST:
        _cancel_check(request.POST["cancel_check"])
        return _page(request, form, request.POST)
    if "check" in request.POST:
        _check(form, again=request.POST["check"] == "again")
        return _page(request, form, request.POST)
    if form.is_valid() and (round := _launched(request, form)):
        return redirect(round)
    return _page(request, form, request.POST, status=422)


@require_http_methods(["GET", "POST"])
@staff_required
def estimate(request: HttpRequest) -> HttpResponse:
    """What is known of the round, as the form stands. Posted or not, it only reads: changes may not fit an address."""
    form = RoundForm(request.POST if request.method == "POST" else request.GET)
    return render(request, "training/_estimate.html", {"panel": panel_of(form)})


def _page(request: HttpRequest, form: RoundForm, sent: QueryDict, *, status: int = 200) -> HttpResponse:
    # From what was sent, not from the form: an error that was put beside a field takes the field's value away.
    bound = RoundForm(sent)
    panel = panel_of(bound)
    context = {
        "form": form,
        "panel": panel,
        "heading": prefill.heading(*(bound.cleaned_data.get(name) for name in ("previous", "cloned_from"))),
        "can_launch": launch_checks.can_launch(),
    }
    return render(request, "training/round_new.html", context, status=status)


def _launched(request: HttpRequest, form: RoundForm) -> TrainingRound | None:
    """The round that the form asks for; None when it cannot be, with the reasons beside the form's fields."""
    asked = form.cleaned_data | {"request_key": form.cleaned_data["request_key"] or uuid.uuid4()}
    try:
        return actions.launch_round(**asked, created_by=request.user)
    except ValidationError as error:
        form.add_error(None, error)
        return None


def _check(form: RoundForm, *, again: bool) -> None:
    """Have the data checked, and put what stands in the way beside the form's fields."""
    if (asked := form.asked) is None:
        return
    try:
        check = actions.requested_check(asked=asked, again=again)
    except ValidationError as error:
        form.add_error(None, error)
    else:
        form.show(checking.problems_in(check))


def _cancel_check(pk: str) -> None:
    if pk.isdecimal() and len(pk) < 19 and (check := LaunchCheck.objects.filter(pk=int(pk)).first()):
        actions.cancel_check(check=check)


def _initial(request: HttpRequest, follows: TrainingRound | None) -> dict[str, object]:
    """What the address asks for: a round to continue or to clone, a snapshot (its page links here), or nothing."""
    if follows:
        initial = prefill.continuing(follows)
    elif round := _round_asked_for(request, "clone"):
        initial = prefill.cloning(round)
    else:
        initial = prefill.anew()
    fields = {*OF_THE_ROUND, "name", "seed"}
    return initial | {name: value for name, value in request.GET.items() if name in fields}


def _round_asked_for(request: HttpRequest, name: str) -> TrainingRound | None:
    pk = request.GET.get(name)
    if not pk:
        return None
    if not pk.isdecimal() or len(pk) > 18:
        pk = "0"  # which no round has
    return get_object_or_404(TrainingRound.objects.select_related("snapshot", "policy"), pk=int(pk))


def _as_sent(form: RoundForm) -> QueryDict:
    """The form's fields as a browser would send them back unchanged: a select without a choice sends its first."""
    sent = QueryDict(mutable=True)
    for name, field in form.fields.items():
        value = form.get_initial_for_field(field, name)
        if value in (None, "") and name in ("base_policy", "snapshot"):
            value = _first(field.queryset)
        if value is not None:
            sent[name] = str(value)
    return sent


def _first(rows: QuerySet[Model]) -> object:
    return rows.values_list("pk", flat=True).first()
