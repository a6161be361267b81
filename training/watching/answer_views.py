"""The old and new answers that a round's evaluation compared, a page of them."""

from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from sampling.access import staff_required
from training.evaluation import blind_tests
from training.models import Stage, StageKind
from training.watching import answers

PAIRS_A_PAGE = 20


@require_GET
@staff_required
def answers_page(request: HttpRequest, pk: int) -> HttpResponse:
    """All of them, or those of one outcome: ``?outcome=lost``. While people judge them blindly, only when asked for."""
    stage = get_object_or_404(Stage.objects.select_related("round"), round_id=pk, kind=StageKind.EVALUATE)
    asked = {"answers": "1"} if request.GET.get("answers") == "1" else {}
    if not asked and blind_tests.is_being_judged(stage.round):
        return render(request, "training/answers.html", {"round": stage.round, "answers_hidden": True})
    counts = answers.counts(stage)
    outcome = next((each for each in answers.OUTCOMES if each == request.GET.get("outcome")), "")
    number = counts[outcome] if outcome else counts.total()
    page = Paginator(range(number), PAIRS_A_PAGE).get_page(request.GET.get("page"))
    start = page.start_index() - 1 if number else 0
    told = asked | ({"outcome": outcome} if outcome else {})
    context = {
        "round": stage.round,
        "judge": answers.judge_of(stage),
        "samples": answers.listed(stage, outcome, start, start + PAIRS_A_PAGE),
        "page": page,
        "query": f"&{urlencode(told)}" if told else "",
        "kinds": [
            {"words": "all", "count": counts.total(), "url": f"?{urlencode(asked)}", "is_chosen": not outcome},
            *(
                {
                    "words": f"new {each}",
                    "count": counts[each],
                    "url": f"?{urlencode(asked | {'outcome': each})}",
                    "is_chosen": each == outcome,
                }
                for each in answers.OUTCOMES
            ),
        ],
    }
    return render(request, "training/answers.html", context)
