"""Make a project, set what it asks, pause it, give it work."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from annotation import actions
from annotation.access import imports_to_compare, manager_required, runs_to_compare
from annotation.addresses import number_in
from annotation.models import Project
from annotation.projects.forms import OpenComparisonsForm, ProjectForm
from annotation.projects.presets import PRESETS
from sampling.access import staff_required

OWN = "own"  # ?preset=own: a form of one's own, from the defaults


@require_http_methods(["GET", "POST"])
@staff_required
def project_new(request: HttpRequest) -> HttpResponse:
    """First the published forms to choose from, then the form that the choice fills in."""
    chosen = request.POST.get("preset") or request.GET.get("preset", "")
    preset = PRESETS.get(chosen)
    form = ProjectForm(request.POST or None, initial=dict(preset.settings) if preset else None)
    if form.is_valid():
        settings = {name: value for name, value in form.cleaned_data.items() if name != "seen"}
        project = actions.create_project(created_by=request.user, **settings)
        messages.success(request, f"Project {project} made. Open comparisons to give it work.")
        return redirect(project)
    context = {
        "form": form,
        "presets": PRESETS.values(),
        "preset": preset,
        "has_chosen": bool(preset) or chosen == OWN or request.method == "POST",
    }
    return render(request, "annotation/project_new.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@manager_required
def project_settings(request: HttpRequest, project: Project) -> HttpResponse:
    # The form writes into its instance even where it is invalid; what the page shows must not follow it.
    form = ProjectForm(request.POST or None, instance=Project.objects.get(pk=project.pk))
    if form.is_valid():
        with transaction.atomic():  # the one form is saved as a whole, or not at all
            saved = actions.save_settings(project=form.save(commit=False), by=request.user)
            actions.publish_guidelines(project=saved, text=form.cleaned_data["guidelines"], by=request.user)
        if actions.is_fitting(saved):
            return redirect("annotation:fit", saved.slug)
        messages.success(request, "Settings saved.")
        return redirect("annotation:project_settings", saved.slug)
    context = {
        "form": form,
        "project": project,
        "may_manage": True,
        "preset": PRESETS.get(project.preset),
        "is_judged": project.comparisons.filter(judgments__isnull=False).exists(),
    }
    return render(request, "annotation/project_settings.html", context, status=422 if form.errors else 200)


@require_GET
@manager_required
def project_try(request: HttpRequest, project: Project) -> HttpResponse:
    """To the page that annotators see. It hands out a real comparison, so it says first that an answer would be one."""
    messages.warning(request, "This is real work: what you submit counts. To look only, skip it or leave it.")
    return redirect("annotation:annotate", project.slug)


@require_http_methods(["GET", "POST"])
@manager_required
def project_pause(request: HttpRequest, project: Project) -> HttpResponse:
    """A question first: everybody who works on the project is stopped by it."""
    if request.method == "GET":
        return render(request, "annotation/project_pause.html", {"project": project, "may_manage": True})
    actions.set_paused(project=project, is_paused=request.POST.get("paused") == "1", by=request.user)
    messages.success(request, "Paused: nothing new is handed out." if project.is_paused else "Going on.")
    return redirect(project)


@require_http_methods(["GET", "POST"])
@manager_required
def fit(request: HttpRequest, project: Project) -> HttpResponse:
    """Carry a new overlap out, a stretch of comparisons with each request; the page asks for the next by itself."""
    after = 0
    if request.method == "POST":
        after = number_in(request.POST.get("after")) or 0
        last = actions.fit_some(project=project, after=after, by=request.user)
        if last is None:
            messages.success(request, "Every comparison waits for as many judgments as the overlap asks for.")
        after = last or 0
    context = {
        "project": project,
        "may_manage": True,
        "is_fitting": actions.is_fitting(project),
        "after": after,
        "comparisons": project.comparisons.count(),
        "fitted": project.comparisons.filter(pk__lte=after).count() if after else 0,
    }
    return render(request, "annotation/_fit.html" if request.htmx else "annotation/fit.html", context)


@require_http_methods(["GET", "POST"])
@manager_required
def open_comparisons(request: HttpRequest, project: Project) -> HttpResponse:
    runs, imports = runs_to_compare(request.user, project), imports_to_compare(request.user, project)
    initial = {"run": request.GET.get("run"), "k": project.completions_per_comparison}
    form = OpenComparisonsForm(request.POST or None, runs=runs, imports=imports, initial=initial)
    if form.is_valid():
        chosen = {name: form.cleaned_data[name] for name in ("k", "priority", "group")}
        result = actions.open_comparisons(project=project, by=request.user, completions=form.completions(), **chosen)
        messages.success(request, f"{result}.")
        return redirect(project)
    context = {"project": project, "form": form, "has_runs": bool(form.fields["run"].choices), "may_manage": True}
    return render(request, "annotation/open_comparisons.html", context, status=422 if form.errors else 200)
