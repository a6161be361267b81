"""The rows that a stage left out, or would leave out as the check of a round found: a page of them, and the file."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from sampling.access import staff_required
from training.launching import checking
from training.models import LaunchCheck, Stage
from training.watching import left_out, run_files
from training.watching.figures import label_of, why_left_out

ROWS_A_PAGE = 50


@require_GET
@staff_required
def dropped(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    stage = _stage(pk, kind)
    context = {
        "round": stage.round,
        "stage": stage,
        "is_there": run_files.dropped_path(stage.run_dir) is not None,
        **_listed(request, stage.run_dir, kind),
    }
    return render(request, "training/dropped.html", context)


@require_GET
@staff_required
def dropped_file(request: HttpRequest, pk: int, kind: str) -> FileResponse:
    stage = _stage(pk, kind)
    path = run_files.dropped_path(stage.run_dir)
    if path is None:
        raise Http404(f'The stage "{kind}" of round "{stage.round}" left nothing out.')
    name = f"{stage.round.name}-{kind}-left-out.jsonl"
    return FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/jsonl")


@require_GET
@staff_required
def check_dropped(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows that a round would leave out, before it is launched."""
    check = get_object_or_404(LaunchCheck.objects.select_related("snapshot", "base_policy"), pk=pk)
    context = {"check": check, **_listed(request, checking.program_dir(check))}
    return render(request, "training/check_dropped.html", context)


def _stage(pk: int, kind: str) -> Stage:
    return get_object_or_404(Stage.objects.select_related("round"), round_id=pk, kind=kind)


def _listed(request: HttpRequest, folder: Path, kind: str = "") -> dict[str, Any]:
    """A page of what the program in ``folder`` left out; ``kind``: the stage that it is, where it is one alone."""
    reason, of = request.GET.get("reason", ""), request.GET.get("of", "")
    reasons = run_files.dropped_reasons(folder)
    number = sum(count for (meant, why), count in reasons.items() if reason in ("", why) and of in ("", meant or kind))
    page = Paginator(range(number), ROWS_A_PAGE).get_page(request.GET.get("page"))
    start = page.start_index() - 1 if number else 0
    rows = run_files.dropped_rows(folder, reason=reason, of=of)
    return {
        "page": page,
        "query": "".join(f"&{each}" for each in left_out.narrowed("", of=of, reason=reason).split("?")[1:]),
        "rows": [
            (row, label_of(row.get("stage", kind)), why_left_out(row.get("stage", kind), row.get("reason", "")))
            for row in islice(rows, start, start + ROWS_A_PAGE)
        ],
        "kinds": _kinds(request.path, reasons, reason, of, kind),
        "is_narrowed": bool(reasons) and not number,
    }


def _kinds(address: str, reasons: Counter[tuple[str, str]], reason: str, of: str, kind: str) -> list[dict[str, Any]]:
    """The choices above the list: all of it, and each stage and reason that there is."""
    several = len({meant for meant, _ in reasons}) > 1
    found = [{"words": "all", "count": reasons.total(), "url": address, "is_chosen": not reason + of}]
    for (meant, why), count in sorted(reasons.items()):
        words = why_left_out(meant or kind, why)
        found.append(
            {
                "words": f"{label_of(meant)}: {words}" if several else words,
                "count": count,
                "url": left_out.narrowed(address, of=meant, reason=why),
                "is_chosen": reason == why and of in ("", meant),
            }
        )
    return found
