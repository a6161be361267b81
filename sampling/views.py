"""The pages of prompts, models and sampling runs: for staff."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from sampling import actions
from sampling.access import staff_required
from sampling.actions import NothingToSample
from sampling.checkpoints import ModelNotUsable
from sampling.forms import RegisterModelForm, SamplingRunForm
from sampling.lifecycle import StaleState
from sampling.lineage import lay_out
from sampling.models import ModelVersion, PromptSet, SamplingRun, Split
from sampling.pace import pace

PROMPTS_A_PAGE = 50
RUNS_A_PAGE = 50
NEWEST_COMPLETIONS = 6
PACE_SAMPLE = 1000


# --- prompts ----------------------------------------------------------------------------------------------------


@require_GET
@staff_required
def prompt_sets(request: HttpRequest) -> HttpResponse:
    return render(request, "sampling/prompt_sets.html", {"prompt_sets": PromptSet.objects.with_counts()})


@require_GET
@staff_required
def prompt_set(request: HttpRequest, pk: int) -> HttpResponse:
    prompts_of = get_object_or_404(PromptSet.objects.with_counts(), pk=pk)
    prompts = prompts_of.prompts.all()
    split = request.GET.get("split", "")
    if split in Split.values:
        prompts = prompts.filter(split=split)
    page = Paginator(prompts, PROMPTS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "prompt_set": prompts_of,
        "page": page,
        "split": split,
        "imports": prompts_of.imports.defer("seen", "options")[:10],
    }
    return render(request, "sampling/prompt_set.html", context)


# --- models -----------------------------------------------------------------------------------------------------


@require_GET
@staff_required
def models(request: HttpRequest) -> HttpResponse:
    versions = list(ModelVersion.objects.with_origin().with_completion_count())
    return render(request, "sampling/models.html", {"versions": versions, "lineage": lay_out(versions)})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def register_model(request: HttpRequest) -> HttpResponse:
    form = RegisterModelForm(request.POST or None)
    if form.is_valid():
        try:
            version = actions.register_model(**form.cleaned_data)
        except ModelNotUsable as error:
            form.refuse(error)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, f"{version.name} is registered.")
            return redirect(version)
    return render(request, "sampling/register_model.html", {"form": form}, status=422 if form.is_bound else 200)


@require_GET
@staff_required
def model_version(request: HttpRequest, pk: int) -> HttpResponse:
    version = get_object_or_404(ModelVersion.objects.with_origin().with_completion_count(), pk=pk)
    context = {
        "version": version,
        "children": version.children.all(),
        "runs": version.sampling_runs.all()[:10],
        "newest": version.completions.newest(NEWEST_COMPLETIONS),
    }
    return render(request, "sampling/model_version.html", context)


# --- sampling runs ----------------------------------------------------------------------------------------------


@require_GET
@staff_required
def sampling_runs(request: HttpRequest) -> HttpResponse:
    runs = SamplingRun.objects.select_related("prompt_set").prefetch_related("policies")
    page = Paginator(runs, RUNS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "sampling/sampling_runs.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_required
def sampling_run_new(request: HttpRequest) -> HttpResponse:
    """The form of a run. It carries a request key, so a double click makes one run."""
    initial = {"prompt_set": request.GET.get("set"), "policies": request.GET.getlist("policy")}
    form = SamplingRunForm(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            run = actions.create_sampling_run(created_by=request.user, **form.parameters())
        except NothingToSample as error:
            form.add_error("prompt_set", str(error))
        else:
            return redirect(run)
    context = {
        "form": form,
        "can_start": PromptSet.objects.exists() and ModelVersion.objects.published().exists(),
        "has_policies": ModelVersion.objects.published().exists(),
    }
    return render(request, "sampling/sampling_run_new.html", context, status=422 if form.is_bound else 200)


@require_GET
@staff_required
@vary_on_headers("HX-Request")
def sampling_run(request: HttpRequest, pk: int) -> HttpResponse:
    """One run: the page, or for htmx the part of it that is alive while the run is not over."""
    run = get_object_or_404(SamplingRun.objects.select_related("prompt_set", "created_by"), pk=pk)
    stored_at = run.completions.order_by("-pk").values_list("created_at", flat=True)[:PACE_SAMPLE]
    now = timezone.now()
    context = {
        "run": run,
        "policies": run.policies.all(),
        "pace": None if run.is_over else pace(stored_at=list(stored_at), now=now, done=run.done, total=run.total),
        "elapsed": (run.finished_at or now) - run.started_at if run.started_at else None,
        "newest": run.completions.newest(NEWEST_COMPLETIONS),
    }
    return render(request, "sampling/_run.html" if request.htmx else "sampling/sampling_run.html", context)


@require_POST
@staff_required
def sampling_run_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    run = actions.cancel(run=get_object_or_404(SamplingRun, pk=pk))
    return redirect(run)


@require_POST
@staff_required
def sampling_run_retry(request: HttpRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(SamplingRun, pk=pk)
    try:
        actions.retry(run=run)
    except StaleState:
        messages.warning(request, "Only a failed or cancelled run can be tried again; this one has moved on.")
    return redirect(run)
