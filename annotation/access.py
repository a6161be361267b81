"""Who may see and do what in a project. Staff may everything; a manager what concerns the project's data."""

import uuid
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from annotation.models import Assignment, AssignmentPurpose, Comparison, Membership, Project, Role
from annotation.rendering.plain import in_words
from sampling.access import to_sign_in
from sampling.models import DataImport, SamplingRun

View = Callable[..., HttpResponse]
REVIEWING = (Role.MANAGER, Role.REVIEWER)


def may_manage(user: AbstractBaseUser | AnonymousUser, project: Project) -> bool:
    return user.is_staff or project.memberships.filter(user=user.pk, role=Role.MANAGER).exists()


def may_review(user: AbstractBaseUser | AnonymousUser, project: Project) -> bool:
    """See all judgments of the project and decide where annotators disagree."""
    return user.is_staff or project.memberships.filter(user=user.pk, role__in=REVIEWING).exists()


def membership_of(request: HttpRequest, project: Project) -> Membership | None:
    """This user's membership; not read again where a guard has read it for this request."""
    known = getattr(request, "membership", None)
    if known is not None and known.project_id == project.pk:
        return known
    return Membership.objects.filter(project=project, user=request.user.pk).first()


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


def imports_to_compare(user: AbstractBaseUser | AnonymousUser, project: Project) -> QuerySet[DataImport]:
    """The imports that brought completions of which this user may open comparisons here: as `runs_to_compare`."""
    imports = DataImport.objects.filter(completions_added__gt=0, undone_at__isnull=True).order_by("-created_at")
    if user.is_staff:
        return imports
    compared = Comparison.objects.filter(project=project).values("prompt__prompt_set")
    return imports.filter(prompt_set__in=compared)


def is_script(request: HttpRequest) -> bool:
    """Whether the page itself sent this, while its reader stays where they are."""
    return bool(request.htmx) or is_background(request)


def is_background(request: HttpRequest) -> bool:
    """Whether only the outcome is wanted: the page went on to the next task when it sent this."""
    return request.POST.get("background") == "1"


def own_assignment(request: HttpRequest, pk: uuid.UUID) -> Assignment:
    """404 for what belongs to somebody else: its address says nothing to others. 403 for who was removed since."""
    roles = Membership.objects.filter(project=OuterRef("comparison__project"), user=request.user.pk).values("role")
    found = get_object_or_404(
        # No texts: an answer that is only kept needs none.
        Assignment.objects.select_related("comparison__project").annotate(own_role=Subquery(roles[:1])),
        pk=pk,
        annotator=request.user,
    )
    if request.user.is_staff:
        return found
    if found.own_role is None:
        raise PermissionDenied("You are no longer a member of this project.")
    if found.purpose == AssignmentPurpose.REVIEW and found.own_role not in REVIEWING:
        raise PermissionDenied("Only a reviewer or a manager of this project may decide.")
    return found


def sign_in_required(view: View) -> View:
    """Send the anonymous to the sign-in page; but a script gets 401, so that the page it works for stays.

    What is sent in the background says for whom: it may have waited until somebody else signed in. To that it is 401
    too, so that 403 and 404 are final; they come in plain words.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated or _is_for_another(request):
            return HttpResponse(status=401) if is_script(request) else to_sign_in(request)
        if not is_background(request):
            return view(request, *args, **kwargs)
        try:
            return view(request, *args, **kwargs)
        except PermissionDenied as error:
            return in_words(str(error), 403)
        except Http404:
            return in_words("This comparison is not there any more.", 404)

    return guarded


def _is_for_another(request: HttpRequest) -> bool:
    """Programs and pages from before this was asked do not say; then whoever is signed in is meant."""
    sent_for = request.POST.get("user", "") if is_background(request) else ""
    return sent_for not in ("", str(request.user.pk))


def member_required(view: View) -> View:
    """Call ``view(request, project, ...)`` for members of the project with this slug; 403 for others."""
    return _guarded(view, tuple(Role), "You are not a member of this project.")


def manager_required(view: View) -> View:
    """Call ``view(request, project, ...)`` for managers of the project with this slug; 403 for others."""
    return _guarded(view, (Role.MANAGER,), "Only a manager of this project may do this.")


def reviewer_required(view: View) -> View:
    """Call ``view(request, project, ...)`` for reviewers and managers of this project; 403 for others."""
    return _guarded(view, REVIEWING, "Only a reviewer or a manager of this project may do this.")


def _guarded(view: View, roles: Collection[Role], refusal: str) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return to_sign_in(request)
        # One query for both: somebody waits for every page behind this.
        members = Membership.objects.select_related("project__guidelines_version")
        membership = members.filter(project__slug=slug, user=request.user.pk).first()
        project = (
            membership.project
            if membership
            else get_object_or_404(Project.objects.select_related("guidelines_version"), slug=slug)
        )
        if not request.user.is_staff and (membership is None or membership.role not in roles):
            raise PermissionDenied(refusal)
        request.membership = membership
        return view(request, project, *args, **kwargs)

    return guarded
