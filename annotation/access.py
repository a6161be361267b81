"""Who may see and do what in a project. Staff may everything; a manager what concerns the project's data."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from annotation.models import Comparison, Project, Role
from sampling.access import to_sign_in
from sampling.models import SamplingRun

View = Callable[..., HttpResponse]


def may_manage(user: AbstractBaseUser | AnonymousUser, project: Project) -> bool:
    return user.is_staff or project.memberships.filter(user=user.pk, role=Role.MANAGER).exists()


def may_review(user: AbstractBaseUser | AnonymousUser, project: Project) -> bool:
    """See all judgments of the project and decide where annotators disagree."""
    return user.is_staff or project.memberships.filter(user=user.pk, role__in=[Role.MANAGER, Role.REVIEWER]).exists()


def may_annotate(user: AbstractBaseUser | AnonymousUser, project: Project) -> bool:
    return user.is_staff or project.memberships.filter(user=user.pk).exists()


def runs_to_compare(user: AbstractBaseUser | AnonymousUser, project: Project) -> QuerySet[SamplingRun]:
    """The sampling runs of which this user may open comparisons here: for staff all that have written something.

    For others only those on prompt sets that the project has comparisons of already: the rest of the site's prompts
    and runs is not theirs to see.
    """
    runs = SamplingRun.objects.filter(completions__isnull=False).distinct().order_by("-created_at")
    if user.is_staff:
        return runs
    compared = Comparison.objects.filter(project=project).values("prompt__prompt_set")
    return runs.filter(prompt_set__in=compared)


def sign_in_required(view: View) -> View:
    """Send the anonymous to the sign-in page; but a script gets 401, so that the page it works for stays."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return HttpResponse(status=401) if request.htmx else to_sign_in(request)

    return guarded


def member_required(view: View) -> View:
    """Call ``view(request, project, ...)`` for members of the project with this slug; 403 for others."""
    return _guarded(view, may_annotate, "You are not a member of this project.")


def manager_required(view: View) -> View:
    """Call ``view(request, project, ...)`` for managers of the project with this slug; 403 for others."""
    return _guarded(view, may_manage, "Only a manager of this project may do this.")


def reviewer_required(view: View) -> View:
    """Call ``view(request, project, ...)`` for reviewers and managers of this project; 403 for others."""
    return _guarded(view, may_review, "Only a reviewer or a manager of this project may do this.")


def _guarded(view: View, is_allowed: Callable[[Any, Project], bool], refusal: str) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return to_sign_in(request)
        project = get_object_or_404(Project, slug=slug)
        if not is_allowed(request.user, project):
            raise PermissionDenied(refusal)
        return view(request, project, *args, **kwargs)

    return guarded
