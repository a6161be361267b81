"""The rows that a stage left out: a page of them, and the file."""

from collections import Counter

from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from sampling.access import staff_required
from training.models import Stage
from training.watching import left_out, results, run_files

ROWS_A_PAGE = 50


@require_GET
@staff_required
def dropped(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    stage = _stage(pk, kind)
    reason, of = request.GET.get("reason", ""), request.GET.get("of", "")
    reasons = run_files.dropped_reasons(stage)
    number = sum(count for (meant, why), count in reasons.items() if reason in ("", why) and of in ("", meant))
    page = Paginator(range(number), ROWS_A_PAGE).get_page(request.GET.get("page"))
    start = page.start_index() - 1 if number else 0
    rows = run_files.dropped_page(stage, reason=reason, of=of, start=start, rows=ROWS_A_PAGE)
    context = {
        "round": stage.round,
        "stage": stage,
        "page": page,
        "query": "".join(f"&{each}" for each in left_out.list_url(stage, of=of, reason=reason).split("?")[1:]),
        "rows": [
            (row, results.label_of(str(row.get("stage", stage.kind))), left_out.words_of(str(row.get("reason", ""))))
            for row in rows
        ],
        "kinds": _kinds(stage, reasons, reason, of),
        "is_there": run_files.dropped_path(stage) is not None,
    }
    return render(request, "training/dropped.html", context)


@require_GET
@staff_required
def dropped_file(request: HttpRequest, pk: int, kind: str) -> FileResponse:
    stage = _stage(pk, kind)
    path = run_files.dropped_path(stage)
    if path is None:
        raise Http404(f'The stage "{kind}" of round "{stage.round}" left nothing out.')
    name = f"{stage.round.name}-{kind}-left-out.jsonl"
    return FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/jsonl")


def _stage(pk: int, kind: str) -> Stage:
    return get_object_or_404(Stage.objects.select_related("round"), round_id=pk, kind=kind)


def _kinds(stage: Stage, reasons: Counter, reason: str, of: str) -> list[dict]:
    """The choices above the list: all of it, and each stage and reason that there is."""
    several = len({meant for meant, _ in reasons}) > 1
    found = [{"words": "all", "count": reasons.total(), "url": left_out.list_url(stage), "is_chosen": not reason + of}]
    for (meant, why), count in sorted(reasons.items()):
        words = left_out.words_of(why)
        found.append(
            {
                "words": f"{results.label_of(meant)}: {words}" if several else words,
                "count": count,
                "url": left_out.list_url(stage, of=meant, reason=why),
                "is_chosen": reason == why and of in ("", meant),
            }
        )
    return found
