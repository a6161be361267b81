"""Answers that are nothing but text: for scripts, and for what is too long for a page."""

from collections.abc import Mapping

from django.http import Http404, HttpResponse

from annotation.rendering.characters import spell_out


def in_words(words: str, status: int = 200) -> HttpResponse:
    return HttpResponse(words, status=status, content_type="text/plain; charset=utf-8")


def one_of(texts: Mapping[str, str], part: str) -> HttpResponse:
    """The whole of what a model wrote: ``part`` of these texts, which no browser takes for a page.

    404 where there is no such part.
    """
    if part not in texts:
        raise Http404(f"There is no {part} here. Choose from {', '.join(texts)}.")
    response = in_words(spell_out(texts[part]))
    # Never guessed to be a page: a browser that did would run what the model wrote.
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = f'inline; filename="{part}.txt"'
    return response
