"""The whole of a text that is too long for the page that shows it, as nothing but text."""

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.access import own_assignment, sign_in_required
from annotation.models import Assignment
from annotation.rendering.markdown import show_bidi_controls
from annotation.task.page import texts_shown


@require_GET
@never_cache
@sign_in_required
def text(request: HttpRequest, pk: uuid.UUID, part: str) -> HttpResponse:
    """``part``: a completion by its letter, or a turn of the conversation by its number, 1 being the first."""
    parts = _parts(own_assignment(request, pk))
    if part not in parts:
        raise Http404(f"There is no {part} here. Choose from {', '.join(parts)}.")
    # Never guessed to be a page: a browser that did would run what the model wrote.
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": f'inline; filename="{part}.txt"'}
    return HttpResponse(show_bidi_controls(parts[part]), content_type="text/plain; charset=utf-8", headers=headers)


def _parts(assignment: Assignment) -> dict[str, str]:
    turns = assignment.comparison.prompt.messages
    return texts_shown(assignment) | {str(number): turn["content"] for number, turn in enumerate(turns, start=1)}
