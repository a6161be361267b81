"""Who may see and do what in a project. Staff may everything; a manager what concerns the project's data."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from annotation.models import Project, Role

View = Callable[..., HttpResponse]


def may_manage(user: AbstractBaseUser | AnonymousUser, project: Project) -> bool:
    return user.is_staff or project.memberships.filter(user=user.pk, role=Role.MANAGER).exists()


def may_annotate(user: AbstractBaseUser | AnonymousUser, project: Project) -> bool:
    return user.is_staff or project.memberships.filter(user=user.pk).exists()


def sign_in_required(view: View) -> View:
    """Send the anonymous to the sign-in page; but a script gets 401, so that the page it works for stays."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return HttpResponse(status=401) if request.htmx else redirect_to_login(request.get_full_path())

    return guarded


def member_required(view: View) -> View:
    """Call ``view(request, project, ...)`` for members of the project with this slug; 403 for others."""
    return _guarded(view, may_annotate, "You are not a member of this project.")


def manager_required(view: View) -> View:
    """Call ``view(request, project, ...)`` for managers of the project with this slug; 403 for others."""
    return _guarded(view, may_manage, "Only a manager of this project may do this.")


def _guarded(view: View, is_allowed: Callable[[Any, Project], bool], refusal: str) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        project = get_object_or_404(Project, slug=slug)
        if not is_allowed(request.user, project):
            raise PermissionDenied(refusal)
        return view(request, project, *args, **kwargs)

    return guarded
