"""Who may open a comparison by its number: reviewers and managers of its project, or managers alone."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from annotation.access import may_manage, may_review
from annotation.models import Comparison


def reviewed_comparison(request: HttpRequest, pk: int) -> Comparison:
    found = _comparison(pk)
    if not may_review(request.user, found.project):
        raise PermissionDenied("Only a reviewer or a manager of this project may see its comparisons.")
    return found


def managed_comparison(request: HttpRequest, pk: int) -> Comparison:
    found = _comparison(pk)
    if not may_manage(request.user, found.project):
        raise PermissionDenied("Only a manager of this project may do this.")
    return found


def _comparison(pk: int) -> Comparison:
    return get_object_or_404(Comparison.objects.select_related("project", "prompt"), pk=pk)
