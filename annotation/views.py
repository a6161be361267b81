"""Pages of projects. The page that people rank on is in task_views."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation import actions, progress
from annotation.access import manager_required, runs_to_compare
from annotation.forms import MemberForm, OpenComparisonsForm, ProjectForm
from annotation.models import DatasetSnapshot, Judgment, Project
from annotation.rendering import render as render_markdown
from sampling.access import staff_required
from sampling.models import PromptSet, SamplingRun


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    projects = list(progress.with_progress(Project.objects.visible_to(request.user), request.user))
    return render(
        request,
        "annotation/home.html",
        {"projects": projects, "steps": _steps_done() if request.user.is_staff else None},
    )


def _steps_done() -> dict[str, bool]:
    return {
        "prompts": PromptSet.objects.exists(),
        "sampling": SamplingRun.objects.exists(),
        "projects": Project.objects.exists(),
        "judgments": Judgment.objects.exists(),
        "snapshots": DatasetSnapshot.objects.exists(),
        # A reverse relation of a higher app: data, and no import of it.
        "rounds": DatasetSnapshot.objects.filter(rounds__isnull=False).exists(),
    }


@require_http_methods(["GET", "POST"])
@staff_required
def project_new(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if form.is_valid():
        project = actions.create_project(created_by=request.user, **form.cleaned_data)
        messages.success(request, f"Project {project} made. Open comparisons to give it work.")
        return redirect(project)
    return render(request, "annotation/project_new.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
@manager_required
def project(request: HttpRequest, project: Project) -> HttpResponse:
    return render(
        request,
        "annotation/project.html",
        {
            "project": project,
            "progress": progress.project_progress(project),
            "by_annotator": progress.by_annotator(project),
            "memberships": project.memberships.select_related("user").order_by("role", "user__username"),
            "snapshots": project.snapshots.all()[:5],
            "guidelines": render_markdown(project.guidelines),
        },
    )


@require_http_methods(["GET", "POST"])
@manager_required
def project_settings(request: HttpRequest, project: Project) -> HttpResponse:
    form = ProjectForm(request.POST or None, instance=project)
    if form.is_valid():
        saved = actions.save_settings(project=form.save(commit=False), by=request.user)
        actions.publish_guidelines(project=saved, text=form.cleaned_data["guidelines"], by=request.user)
        messages.success(request, "Settings saved.")
        return redirect(project)
    # The form writes into its instance even where it is invalid; the page's heading must not follow it.
    shown = Project.objects.get(pk=project.pk)
    return render(
        request,
        "annotation/project_settings.html",
        {"form": form, "project": shown},
        status=422 if form.errors else 200,
    )


@require_POST
@manager_required
def project_pause(request: HttpRequest, project: Project) -> HttpResponse:
    actions.set_paused(project=project, is_paused=request.POST.get("paused") == "1", by=request.user)
    messages.success(request, "Paused: nothing new is handed out." if project.is_paused else "Going on.")
    return redirect(project)


@require_http_methods(["GET", "POST"])
@manager_required
def members(request: HttpRequest, project: Project) -> HttpResponse:
    form = MemberForm(request.POST or None)
    if form.is_valid():
        role, kind = form.cleaned_data["role"], form.cleaned_data["kind"]
        actions.add_member(project=project, user=form.user, role=role, kind=kind, by=request.user)
        messages.success(request, f"{form.user} is {role} of this project.")
        return redirect("annotation:members", project.slug)
    context = {
        "project": project,
        "form": form,
        "memberships": project.memberships.select_related("user").order_by("role", "user__username"),
    }
    return render(request, "annotation/members.html", context, status=422 if form.errors else 200)


@require_POST
@manager_required
def member_remove(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    membership = get_object_or_404(project.memberships.select_related("user"), pk=pk)
    actions.remove_member(project=project, user=membership.user, by=request.user)
    messages.success(request, f"{membership.user} is no longer a member. What they judged stays.")
    return redirect("annotation:members", project.slug)


@require_http_methods(["GET", "POST"])
@manager_required
def open_comparisons(request: HttpRequest, project: Project) -> HttpResponse:
    runs = runs_to_compare(request.user, project)
    form = OpenComparisonsForm(request.POST or None, runs=runs, initial={"run": request.GET.get("run")})
    if form.is_valid():
        result = actions.open_comparisons(
            project=project,
            completions=form.completions(),
            k=form.cleaned_data["k"],
            priority=form.cleaned_data["priority"],
        )
        messages.success(request, f"{result}.")
        return redirect(project)
    context = {"project": project, "form": form, "has_runs": runs.exists()}
    return render(request, "annotation/open_comparisons.html", context, status=422 if form.errors else 200)
