"""The start page and the page of a project. The page that people rank on is in task_views."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from annotation import actions
from annotation.access import manager_required
from annotation.models import DatasetSnapshot, Judgment, Project, Role
from annotation.projects import overview
from annotation.projects.presets import PRESETS
from annotation.rendering.markdown import render as render_markdown
from sampling.models import PromptSet, SamplingRun


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    cards = overview.cards(Project.objects.visible_to(request.user), request.user)
    steps = _steps_done() if request.user.is_staff else None
    context = {"cards": cards, "steps": steps, "projects": [card.project for card in cards]}
    return render(request, "annotation/home.html", context)


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


@require_GET
@manager_required
def project(request: HttpRequest, project: Project) -> HttpResponse:
    now = timezone.now()
    counts = overview.counts_of(project)
    given = overview.given_by_hour(project)
    by_annotator = overview.by_annotator(project)
    annotators = project.memberships.filter(role=Role.ANNOTATOR)
    context = {
        "project": project,
        "may_manage": True,
        "counts": counts,
        "is_large": overview.is_large(project),
        "plot": overview.plot(given, now),
        "pace": overview.pace(given, counts.open, now),
        "working": overview.working_now(project),
        "skipped": overview.skipped(project),
        "open_flags": overview.open_flags(project),
        "known": overview.known_answers(project),
        "is_fitting": actions.is_fitting(project),
        "by_annotator": by_annotator,
        "busiest": max((row["judgments"] for row in by_annotator), default=0),
        # Comparisons wait, and nobody is there to judge them.
        "needs_people": bool(counts.open) and not by_annotator and not annotators.exists(),
        "memberships": project.memberships.select_related("user").order_by("role", "user__username")[:12],
        "member_count": project.memberships.count(),
        "snapshots": project.snapshots.all()[:5],
        "guidelines": render_markdown(project.guidelines),
        "preset": PRESETS.get(project.preset),
    }
    return render(request, "annotation/project.html", context)
