"""Rounds side by side."""

from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from sampling.access import staff_required
from training.evaluation import blind_tests
from training.models import TrainingRound
from training.watching import comparing

SAMPLES_A_PAGE = 4


@require_GET
@staff_required
def rounds_compared(request: HttpRequest) -> HttpResponse:
    """Two to six rounds, in the order in which they were launched: ``?round=1&round=2``."""
    asked = {int(pk) for pk in request.GET.getlist("round") if pk.isdecimal() and len(pk) < 19}
    every = TrainingRound.objects.for_list().select_related("demonstrations")
    chosen = every.prefetch_related("blind_tests__project").filter(pk__in=asked)
    rounds = list(chosen.order_by("created_at")[: comparing.MOST + 1])
    if not comparing.LEAST <= len(rounds) <= comparing.MOST:
        limits = {"least": comparing.LEAST, "most": comparing.MOST, "count": len(rounds)}
        return render(request, "training/rounds_compared.html", limits, status=422)
    return render(request, "training/rounds_compared.html", _context(request, rounds))


def _context(request: HttpRequest, rounds: list[TrainingRound]) -> dict[str, Any]:
    settings = comparing.settings_of(rounds)
    kinds = comparing.stages_with_curves(rounds)
    # Unasked, the last of those that most of the rounds have.
    most = max(reversed(kinds), key=kinds.__getitem__, default=None)
    shown = next((kind for kind in kinds if kind == request.GET.get("stage")), most)
    is_asked = request.GET.get("answers") == "1"
    # As on a round's own page: nobody is a blind judge of answers seen here.
    hidden = not is_asked and any(map(blind_tests.is_being_judged, rounds))
    samples = [] if hidden else comparing.samples_of(rounds)
    page = Paginator(samples, SAMPLES_A_PAGE).get_page(request.GET.get("page"))
    coloured = list(enumerate(rounds, start=1))
    of_rounds = urlencode([("round", round.pk) for round in rounds])
    return {
        "rounds": coloured,
        "of_rounds": of_rounds,
        "origins": [each for each in comparing.origins_of(rounds) if each.differs],
        "different": [each for each in settings if each.differs],
        "settings": settings,
        "outcomes": comparing.outcomes_of(rounds),
        "kinds": kinds,
        "shown": shown,
        "charts": comparing.curves_of(rounds, shown) if shown else [],
        "samples": [
            (each.prompt, [(*pair, answer) for pair, answer in zip(coloured, each.answers, strict=True)])
            for each in page
        ],
        "page": page,
        "answers_hidden": hidden,
        "query": f"&{of_rounds}" + (f"&stage={shown}" if shown else "") + ("&answers=1" if is_asked else ""),
    }
