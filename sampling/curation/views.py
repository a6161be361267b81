"""The pages of saved filters, and of filters over a prompt set: for staff."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect

from sampling.access import staff_required
from sampling.curation import actions
from sampling.curation.forms import (
    CurationForm,
    FilterSetForm,
    KeepForm,
    PostedSteps,
    metadata_keys_of,
    steps_context,
    steps_from,
    steps_problem,
)
from sampling.curation.steps import describe
from sampling.importing.showing import funnel
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.models import Curation, DataImport, FilterSet, PromptSet

CURATIONS_SHOWN = 20


# --- saved filters ----------------------------------------------------------------------------------------------


@require_GET
@staff_required
def filter_sets(request: HttpRequest) -> HttpResponse:
    shown = [(each, words_of(each.steps)) for each in FilterSet.objects.select_related("created_by")]
    return render(request, "sampling/filter_sets.html", {"filter_sets": shown})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def filter_set_new(request: HttpRequest) -> HttpResponse:
    return _filter_set_form(request, None, _steps_to_save(request))


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def filter_set(request: HttpRequest, pk: int) -> HttpResponse:
    saved = get_object_or_404(FilterSet, pk=pk)
    return _filter_set_form(request, saved, saved.steps)


def _steps_to_save(request: HttpRequest) -> list[dict[str, Any]]:
    """Those of a run or an import that a page offers to save: ?curation=1, ?import=1."""
    for name, rows, steps_of in (
        ("curation", Curation.objects, lambda row: row.steps),
        ("import", DataImport.objects, lambda row: row.options.get("steps", [])),
    ):
        pk = request.GET.get(name, "")
        if pk.isdecimal() and len(pk) < 19:
            return steps_of(get_object_or_404(rows, pk=pk))
    return []


def _filter_set_form(request: HttpRequest, saved: FilterSet | None, steps: list[dict[str, Any]]) -> HttpResponse:
    """The form of saved filters. Its steps' buttons change the form only; its own saves."""
    form = FilterSetForm(request.POST or None, initial={"name": saved.name if saved else ""})
    steps = steps_from(request.POST) if form.is_bound else steps
    if is_edit := getattr(steps, "is_edit", False):
        form = FilterSetForm(initial={"name": request.POST.get("name", "")})
    elif _both_hold(form, steps):
        try:
            filter_set = actions.save_filter_set(
                filter_set=saved, steps=steps, created_by=request.user, **form.cleaned_data
            )
        except ValidationError as error:
            _refuse(form, error)
        else:
            messages.success(request, f"The filters {filter_set.name} are saved.")
            return _go_to(request, filter_set)
    context = {"form": form, "filter_set": saved, **steps_context(steps)}
    return _form_answer(request, "filter_set", context, is_refused=form.is_bound and not is_edit)


def _both_hold(form: Form, steps: list[dict[str, Any]]) -> bool:
    return form.is_valid() and not steps_problem(steps)


def _refuse(form: Form, error: ValidationError) -> None:
    """Beside the field that it is about, or above the form."""
    for name, said in error.message_dict.items():
        form.add_error(name if name in form.fields else None, said)


def _form_answer(request: HttpRequest, name: str, context: dict[str, Any], *, is_refused: bool) -> HttpResponse:
    """The page of a form, or for htmx the form alone."""
    template = f"sampling/_{name}_form.html" if request.htmx else f"sampling/{name}_form.html"
    return render(request, template, context, status=422 if is_refused else 200)


def _go_to(request: HttpRequest, row: FilterSet | Curation) -> HttpResponse:
    return HttpResponseClientRedirect(row.get_absolute_url()) if request.htmx else redirect(row)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def filter_set_delete(request: HttpRequest, pk: int) -> HttpResponse:
    saved = get_object_or_404(FilterSet, pk=pk)
    if request.method == "POST":
        actions.delete_filter_set(filter_set=saved)
        messages.success(request, f"The filters {saved.name} are deleted.")
        return redirect("sampling:filter_sets")
    return render(request, "sampling/filter_set_delete.html", {"filter_set": saved, "words": words_of(saved.steps)})


def words_of(steps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(label, settings) of each step; nothing where an older version saved them and they cannot be run any more."""
    return [] if steps_problem(steps) else describe(steps)


# --- filters over a prompt set ----------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
@vary_on_headers("HX-Request")
def curation_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Which filters. The form carries a request key, so a double click is one run."""
    prompt_set = get_object_or_404(PromptSet, pk=pk)
    begun_with = _begun_with(request, prompt_set)
    form = CurationForm(
        request.POST or None, initial={"request_key": uuid.uuid4, "seed": begun_with.seed if begun_with else 17}
    )
    steps: list[dict[str, Any]] = begun_with.steps if begun_with else []
    if form.is_bound:
        steps = steps_from(request.POST)
    is_edit = isinstance(steps, PostedSteps) and steps.is_edit
    if form.is_bound and not is_edit and _both_hold(form, steps):
        try:
            row = actions.create_curation(
                prompt_set=prompt_set, steps=steps, created_by=request.user, **form.cleaned_data
            )
        except ValidationError as error:
            _refuse(form, error)
        else:
            return _go_to(request, row)
    context = {
        "form": form,
        "prompt_set": prompt_set,
        "earlier": prompt_set.curations.defer("report").select_related("made")[:CURATIONS_SHOWN],
        **steps_context(steps, metadata_keys=metadata_keys_of(prompt_set)),
    }
    return _form_answer(request, "curation", context, is_refused=form.is_bound and not is_edit)


def _begun_with(request: HttpRequest, prompt_set: PromptSet) -> Curation | None:
    """An earlier run, whose filters are to be changed: ?from=1."""
    pk = request.GET.get("from", "")
    return prompt_set.curations.filter(pk=pk).first() if pk.isdecimal() and len(pk) < 19 else None


@require_GET
@staff_required
@vary_on_headers("HX-Request")
def curation(request: HttpRequest, pk: int) -> HttpResponse:
    """A run of filters: the page, or for htmx the part of it that is alive while the run is not over."""
    return _curation_page(request, _curation(pk))


def _curation(pk: int) -> Curation:
    return get_object_or_404(Curation.objects.select_related("of", "made", "created_by"), pk=pk)


def _curation_page(request: HttpRequest, row: Curation, keep_form: KeepForm | None = None) -> HttpResponse:
    report = row.report
    context = {
        "curation": row,
        "report": report,
        "removed": report.get("rows", 0) - report.get("left", 0),
        "funnel": funnel(report.get("filters", ())),
        "steps": words_of(row.steps),
        "is_looked": row.state == TaskState.FINISHED and not row.new_name,
        "may_be_renamed": row.state == TaskState.FAILED and bool(row.new_name) and row.made_id is None,
        "keep_form": keep_form or KeepForm(initial={"new_name": row.new_name or _new_name(row.of.name)}),
    }
    template = "sampling/_curation.html" if request.htmx else "sampling/curation.html"
    return render(request, template, context, status=422 if keep_form else 200)


def _new_name(name: str) -> str:
    """One that is free, as a proposal."""
    for number in range(1, 100):
        proposal = f"{name[:100]}, filtered" + (f" {number}" if number > 1 else "")
        if not PromptSet.objects.filter(name=proposal).exists():
            return proposal
    return ""


@require_POST
@staff_required
def curation_keep(request: HttpRequest, pk: int) -> HttpResponse:
    row = _curation(pk)
    form = KeepForm(request.POST)
    if form.is_valid():
        try:
            return redirect(actions.keep(curation=row, **form.cleaned_data))
        except ValidationError as error:
            _refuse(form, error)
        except StaleState:
            messages.warning(request, "The set is not looked through: wait for it, or try it again, and keep it then.")
            return redirect(row)
    return _curation_page(request, row, form)


@require_POST
@staff_required
def curation_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return redirect(actions.cancel(curation=_curation(pk)))


@require_POST
@staff_required
def curation_retry(request: HttpRequest, pk: int) -> HttpResponse:
    row = _curation(pk)
    try:
        actions.retry(curation=row)
    except StaleState:
        messages.warning(request, "Only what failed or was cancelled can be tried again; this has moved on.")
    return redirect(row)
