"""The whole of what a model wrote, as nothing but text: for what is too long for a page."""

from collections.abc import Mapping

from django.http import Http404, HttpResponse

from annotation.rendering.markdown import show_bidi_controls


def one_of(texts: Mapping[str, str], part: str) -> HttpResponse:
    """``part`` of these texts as plain text, which no browser takes for a page; 404 where there is no such part."""
    if part not in texts:
        raise Http404(f"There is no {part} here. Choose from {', '.join(texts)}.")
    # Never guessed to be a page: a browser that did would run what the model wrote.
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": f'inline; filename="{part}.txt"'}
    return HttpResponse(show_bidi_controls(texts[part]), content_type="text/plain; charset=utf-8", headers=headers)
