"""A round's blind tests: how they stand, and the button that opens one."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import trigger_client_event

from sampling.access import staff_required
from training.evaluation import blind_tests
from training.evaluation.blind_tests import BlindTestRefused
from training.models import TrainingRound


class BlindTestForm(forms.Form):
    opponent = forms.ModelChoiceField(queryset=None)
    overlap = forms.IntegerField(min_value=1, max_value=50, required=False)
    prompts = forms.IntegerField(min_value=1, required=False)

    def __init__(self, data, *, round: TrainingRound) -> None:
        super().__init__(data)
        # One that is open already too: the second half of a double click.
        policies = {policy.pk for policy in blind_tests.opponents_of(round)}
        self.fields["opponent"].queryset = type(round.base_policy).objects.filter(pk__in=policies)


@require_GET
@staff_required
def blind_tests_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The card as a page of its own; htmx asks for the figures in it, which change while people judge."""
    round = get_object_or_404(TrainingRound.objects.select_related("base_policy", "policy"), pk=pk)
    part = "_blind_test_results" if request.htmx.target == "blind-test-results" else "blind_tests"
    return render(request, f"training/{part}.html", blind_tests.shown(round))


@require_POST
@staff_required
def blind_test_open(request: HttpRequest, pk: int) -> HttpResponse:
    """Open one; asked twice, it is the same one. A script gets the card again, everybody else the card's page."""
    round = get_object_or_404(TrainingRound.objects.select_related("base_policy", "policy"), pk=pk)
    form = BlindTestForm(request.POST, round=round)
    problem = ""
    if form.is_valid():
        try:
            blind_tests.open_blind_test(
                round=round,
                opponent=form.cleaned_data["opponent"],
                created_by=request.user,
                prompts=form.cleaned_data["prompts"],
                overlap=form.cleaned_data["overlap"] or 1,
            )
        except BlindTestRefused as error:
            problem = str(error)
        else:
            if not request.htmx:
                return redirect("training:blind_tests", round.pk)
    else:
        problem = " ".join(f"{name.capitalize()}: {' '.join(errors)}" for name, errors in form.errors.items())
    context = blind_tests.shown(round) | {"blind_problem": problem}
    part = "_blind_tests" if request.htmx else "blind_tests"
    response = render(request, f"training/{part}.html", context, status=422 if problem else 200)
    # The round's page hides its answers then (_answers.html).
    return response if problem else trigger_client_event(response, "blind-test-opened")
