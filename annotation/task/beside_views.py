"""What stands beside a task without being its answer: a diff of two completions, and a flag for a manager."""

import uuid

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation import actions
from annotation.access import is_script, own_assignment, sign_in_required
from annotation.models import AssignmentState
from annotation.rendering.characters import spell_out
from annotation.rendering.plain import in_words
from annotation.rules.diff import is_cut, word_diff
from annotation.task.page import texts_shown


@require_GET
@never_cache
@sign_in_required
def diff(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Word by word, what two of the completions differ in: as written, so that nothing hides in the markdown."""
    found = own_assignment(request, pk)
    texts = {letter: spell_out(text) for letter, text in texts_shown(found).items()}
    first, second = (request.GET.get(side) or letter for side, letter in zip("ab", texts, strict=False))
    if first not in texts or second not in texts:
        raise Http404(f"No two completions here are {first} and {second}. Choose from {', '.join(texts)}.")
    pieces = word_diff(texts[first], texts[second])
    context = {
        "assignment": found,
        "project": found.comparison.project,
        "letters": list(texts),
        "a": first,
        "b": second,
        "pieces": pieces,
        "is_same": all(piece.kind == "same" for piece in pieces),
        "is_cut": is_cut(texts[first]) or is_cut(texts[second]),
    }
    return render(request, "annotation/_diff.html" if request.htmx else "annotation/diff.html", context)


@require_POST
@never_cache
@sign_in_required
def flag(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    found = own_assignment(request, pk)
    refusal = ""
    try:
        actions.raise_flag(assignment=found, annotator=request.user, note=request.POST.get("note", ""))
    except actions.AnswerRefused as error:
        refusal = str(error)
    if is_script(request):
        return in_words(refusal, 422 if refusal else 204)
    if refusal:
        messages.error(request, refusal)
    else:
        messages.success(request, "Flagged: a manager will look at it.")
    if found.state == AssignmentState.HELD:
        return redirect(found)
    return redirect("annotation:answers", found.comparison.project.slug)
