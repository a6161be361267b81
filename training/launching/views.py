"""The form that launches a round, and what it would cost."""

import uuid

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from sampling.access import staff_required
from training import actions
from training.launching import cost
from training.launching.forms import RoundForm
from training.launching.launch_checks import can_launch
from training.models import TrainingRound


@require_http_methods(["GET", "POST"])
@staff_required
def round_new(request: HttpRequest) -> HttpResponse:
    """The form and what the round would cost; with "check" posted it only shows that, without JavaScript too."""
    form = RoundForm(request.POST) if request.method == "POST" else RoundForm(initial=_initial(request))
    is_check = "check" in request.POST
    if request.method == "POST" and not is_check and form.is_valid() and (round := _launched(request, form)):
        return redirect(round)
    asked = request.POST if request.method == "POST" else _asked(form)
    context = {"form": form, "cost": cost.of_form(asked), "can_launch": can_launch()}
    refused = form.is_bound and not is_check
    return render(request, "training/round_new.html", context, status=422 if refused else 200)


@require_GET
@staff_required
def estimate(request: HttpRequest) -> HttpResponse:
    """What the round would cost, as the form stands."""
    return render(request, "training/_estimate.html", {"cost": cost.of_form(request.GET)})


def _launched(request: HttpRequest, form: RoundForm) -> TrainingRound | None:
    """The round that the form asks for; None when it cannot be, with the reasons beside the form's fields."""
    asked = form.cleaned_data | {"request_key": form.cleaned_data["request_key"] or uuid.uuid4()}
    try:
        return actions.launch_round(**asked, created_by=request.user)
    except ValidationError as error:
        form.add_error(None, error)
        return None


def _initial(request: HttpRequest) -> dict[str, str]:
    """What the address asks for (a snapshot's page links here with itself), else what is likeliest meant."""
    return {"name": _free_name(), "recipe": "demo"} | {
        name: value for name, value in request.GET.items() if name in RoundForm.base_fields and name != "request_key"
    }


def _asked(form: RoundForm) -> dict[str, str]:
    """The form's fields as a browser would send them back unchanged: a select without a choice sends its first."""
    asked = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    for name in ("base_policy", "snapshot"):
        if not asked[name] and (first := form.fields[name].queryset.first()):
            asked[name] = first.pk
    return {name: str(value) for name, value in asked.items() if value is not None}


def _free_name() -> str:
    """round-1, round-2 ...: the first one that is free."""
    taken = set(TrainingRound.objects.values_list("name", flat=True))
    number = TrainingRound.objects.count() + 1
    while f"round-{number}" in taken:
        number += 1
    return f"round-{number}"
