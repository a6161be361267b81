"""Pages and files of lineage: of a version, and back from a judgment, an annotator or a prompt."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from annotation.models import Judgment
from sampling.access import staff_required
from sampling.models import ModelRole, ModelVersion, Prompt
from training.lineage import description, judgments
from training.lineage.card import card_of
from training.lineage.description import Lineage
from training.lineage.judgments import Learned
from training.lineage.picture import Node, Picture, picture_of
from training.models import Stage

JUDGMENTS_A_PAGE = 50


@require_GET
@staff_required
def lineage(request: HttpRequest, pk: int) -> HttpResponse:
    found = _lineage(pk)
    context = {
        "lineage": found,
        "version": found.version,
        "picture": _picture(found),
        "counts": found.counts,
        "steps": [(step, [(stage, _values(stage)) for stage in step.made.stages]) for step in found.steps],
    }
    return render(request, "training/lineage.html", context)


@require_GET
@staff_required
def model_card(request: HttpRequest, pk: int) -> HttpResponse:
    """The card as it would be written now, as text: it quotes what people wrote."""
    card = card_of(get_object_or_404(ModelVersion, pk=pk))
    return HttpResponse(card, content_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"})


@require_GET
@staff_required
def lineage_json(request: HttpRequest, pk: int) -> HttpResponse:
    found = _lineage(pk)
    content = description.as_json(found) | {
        "judgments_file": request.build_absolute_uri(reverse("training:lineage_judgments_file", args=[pk]))
    }
    return JsonResponse(content, json_dumps_params={"indent": 2, "ensure_ascii": False})


@require_GET
@staff_required
def lineage_judgments(request: HttpRequest, pk: int) -> HttpResponse:
    """Each judgment that the version rests on, a page at a time."""
    found = _lineage(pk)
    rows = found.judgments.select_related("annotator", "comparison__prompt", "comparison__project")
    page = Paginator(rows, JUDGMENTS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "training/lineage_judgments.html", {"version": found.version, "page": page})


@require_GET
@staff_required
def lineage_judgments_file(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as JSON lines, with every completion: streamed, however many there are."""
    found = _lineage(pk)
    response = StreamingHttpResponse(_lines(judgments.as_rows(found.judgments)), content_type="application/jsonl")
    response["Content-Disposition"] = f'attachment; filename="judgments-of-version-{pk}.jsonl"'
    return response


@require_GET
@staff_required
def learned_from(request: HttpRequest, what: str, pk: int) -> HttpResponse:
    """Which versions learned from this judgment, annotator or prompt; as JSON with ``?format=json``."""
    title, crumb, found = asked_for(what, pk)
    if request.GET.get("format") == "json":
        return JsonResponse({"learned_from": title, "versions": [learned_json(each) for each in found]})
    context = {"title": title, "crumb": crumb, "found": found, "what": what}
    return render(request, "training/learned_from.html", context)


def asked_for(what: str, pk: int) -> tuple[str, str, list[Learned]]:
    """What it is called, where it is shown, and who learned from it."""
    match what:
        case "judgment":
            judgment = get_object_or_404(Judgment.objects.select_related("comparison"), pk=pk)
            return (
                f"judgment {pk}",
                reverse("annotation:comparison", args=[judgment.comparison_id]),
                judgments.learned_from_judgment(judgment),
            )
        case "annotator":
            annotator = get_object_or_404(get_user_model(), pk=pk)
            return f"judgments by {annotator}", "", judgments.learned_from_annotator(annotator)
        case "prompt":
            prompt = get_object_or_404(Prompt.objects.select_related("prompt_set"), pk=pk)
            return f"prompt {pk}", prompt.prompt_set.get_absolute_url(), judgments.learned_from_prompt(prompt)
        case _:
            raise Http404(f'Nothing is learned from "{what}". There are: judgment, annotator, prompt.')


def _lineage(pk: int) -> Lineage:
    return description.lineage_of(get_object_or_404(ModelVersion, pk=pk))


def _lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _values(stage: Stage) -> str:
    """The stage's part of the resolved recipe, as it was used."""
    return json.dumps(stage.round.recipe.get(stage.kind, {}), indent=2)


def learned_json(each: Learned) -> dict[str, Any]:
    return {
        "version": each.version.name,
        "content_hash": each.version.content_hash,
        "how": each.how,
        "through": each.through.name if each.through else None,
        "snapshots": [snapshot.name for snapshot in each.snapshots],
    }


def _picture(found: Lineage) -> Picture:
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], str] = {}
    for step in reversed(found.steps):  # the oldest first: what came first is drawn above
        key = f"version-{step.version.pk}"
        role = "reward model" if step.version.role == ModelRole.REWARD else "policy"
        for given in step.given:
            snapshot = f"snapshot-{given.snapshot.pk}"
            nodes[snapshot] = Node(snapshot, "snapshot", given.snapshot.name, given.snapshot.get_absolute_url())
            edges[snapshot, key] = "learned from"
        if shown := step.made.demonstrations:
            shown_key = f"demonstrations-{shown.pk}"
            nodes[shown_key] = Node(shown_key, "demonstrations", shown.name, shown.get_absolute_url())
            edges[shown_key, key] = "learned from"
        for how, origin in step.origins:
            pair = (f"version-{origin.pk}", key)
            edges[pair] = f"{edges[pair]}, {how}" if pair in edges else how
        nodes[key] = Node(key, role, step.version.name, step.version.get_absolute_url())
    return picture_of(nodes.values(), edges)
