"""The guidelines of a project: each version, what changed between two, and who has read which."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation import actions
from annotation.access import is_script, may_manage, member_required, sign_in_required
from annotation.addresses import number_in
from annotation.models import GuidelinesVersion, Membership, Project
from annotation.rendering.markdown import render as render_markdown
from annotation.task.guidelines import changes_between


@require_GET
@never_cache
@member_required
def guidelines(request: HttpRequest, project: Project) -> HttpResponse:
    """One version, the newest unless ``version`` says otherwise, and its changes since another one.

    That one is ``since``; else what this member has read, else the version before.
    """
    versions = list(project.guidelines_versions.select_related("created_by"))  # newest first
    membership = Membership.objects.filter(project=project, user=request.user.pk).first()
    shown = _numbered(versions, request.GET.get("version")) or (versions[0] if versions else None)
    since = _numbered(versions, request.GET.get("since")) or _compared_with(versions, shown, membership)
    is_current = shown is not None and shown.pk == project.guidelines_version_id
    context = {
        "project": project,
        "may_manage": may_manage(request.user, project),
        "versions": versions,
        "shown": shown,
        "since": since,
        "text": render_markdown(shown.text, at_most=len(shown.text)) if shown else None,
        "pieces": changes_between(since.text, shown.text) if shown and since and since != shown else None,
        "is_current": is_current,
        "read": _with_pk(versions, membership.guidelines_read_id if membership else None),
        "may_read": is_current and membership is not None and membership.guidelines_read_id != shown.pk,
    }
    return render(request, "annotation/guidelines.html", context)


@require_POST
@sign_in_required
@member_required
def guidelines_read(request: HttpRequest, project: Project) -> HttpResponse:
    """ "I have read this version." For a script 204; else back to ``next``, the task or the guidelines."""
    version = get_object_or_404(project.guidelines_versions, number=number_in(request.POST.get("version")) or 0)
    actions.mark_guidelines_read(project=project, user=request.user, version=version)
    if is_script(request):
        return HttpResponse(status=204)
    messages.success(request, f"Noted: you have read version {version.number}.")
    return redirect(
        "annotation:annotate" if request.POST.get("next") == "task" else "annotation:guidelines", project.slug
    )


def _numbered(versions: list[GuidelinesVersion], number: str | None) -> GuidelinesVersion | None:
    return next((version for version in versions if str(version.number) == number), None)


def _with_pk(versions: list[GuidelinesVersion], pk: int | None) -> GuidelinesVersion | None:
    return next((version for version in versions if version.pk == pk), None)


def _compared_with(
    versions: list[GuidelinesVersion], shown: GuidelinesVersion | None, membership: Membership | None
) -> GuidelinesVersion | None:
    if shown is None:
        return None
    read = _with_pk(versions, membership.guidelines_read_id if membership else None)
    if read is not None and read.number < shown.number:
        return read
    return next((version for version in versions if version.number < shown.number), None)
