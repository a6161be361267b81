"""The whole of a text that is too long for the page that shows it, as nothing but text."""

import uuid

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.access import own_assignment, sign_in_required
from annotation.models import Assignment
from annotation.rendering import plain
from annotation.task.page import texts_shown


@require_GET
@never_cache
@sign_in_required
def text(request: HttpRequest, pk: uuid.UUID, part: str) -> HttpResponse:
    """``part``: a completion by its letter, or a turn of the conversation by its number, 1 being the first."""
    return plain.one_of(_parts(own_assignment(request, pk)), part)


def _parts(assignment: Assignment) -> dict[str, str]:
    turns = assignment.comparison.prompt.messages
    return texts_shown(assignment) | {str(number): turn["content"] for number, turn in enumerate(turns, start=1)}
