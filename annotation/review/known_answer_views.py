"""A manager's gold, qualification and training items: the list, making one, changing one, turning one back to work."""

from collections import defaultdict
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from annotation.access import manager_required
from annotation.actions import known_answers as actions
from annotation.actions.qualification import unqualified_at_work, waive_for_who_works
from annotation.actions.review import ReviewRefused
from annotation.models import Comparison, Judgment, Project, Purpose
from annotation.review.access import managed_comparison
from annotation.review.forms import KnownAnswerForm
from annotation.review.page import review_of
from annotation.rules.disagreement import proposed_order
from annotation.rules.known import known_ranking, pairs_right, share_right
from annotation.rules.letters import fixed_letters, in_letters
from annotation.rules.ranking import Ranking

SHOWN = 500  # known answers on the list: a project has tens
DOUBTED_FROM = 3  # answers, before the list calls a known answer into question


@dataclass(frozen=True)
class KnownRow:
    """One known answer, and how annotators did on it. Answers from when it was work count too, as the page says."""

    comparison: Comparison
    answer: str  # in letters
    answers: int
    percent_right: int | None  # of the pairs, over all answers
    against: int  # annotators who had fewer than half of the pairs right

    @property
    def is_doubtful(self) -> bool:
        return self.answers >= DOUBTED_FROM and 2 * self.against > self.answers


@require_GET
@manager_required
def known_answers(request: HttpRequest, project: Project) -> HttpResponse:
    found = project.comparisons.exclude(purpose=Purpose.WORK).select_related("prompt")
    rows = _rows(list(found.prefetch_related("completions").order_by("purpose", "-pk")[:SHOWN]))
    context = {
        "project": project,
        "may_manage": True,
        "sections": [(purpose, [row for row in rows if row.comparison.purpose == purpose]) for purpose in _kinds()],
        "has_any": bool(rows),
        "doubtful": [row for row in rows if row.is_doubtful],
        "gold_count": sum(
            row.comparison.purpose == Purpose.GOLD and row.comparison.withdrawn_at is None for row in rows
        ),
        "is_cut": len(rows) == SHOWN,
        "shown": SHOWN,
    }
    return render(request, "annotation/known_answers.html", context)


def _kinds() -> list[Purpose]:
    return [purpose for purpose in Purpose if purpose != Purpose.WORK]


def _rows(comparisons: list[Comparison]) -> list[KnownRow]:
    given = defaultdict(list)
    answers = Judgment.objects.current().by_annotators().filter(comparison__in=comparisons)
    for pk, groups in answers.values_list("comparison_id", "ranking"):
        given[pk].append(Ranking(tuple(map(tuple, groups))))
    return [_row(comparison, given[comparison.pk]) for comparison in comparisons]


def _row(comparison: Comparison, given: list[Ranking]) -> KnownRow:
    known = known_ranking(comparison.known_ranking)
    letters = fixed_letters(comparison.content_key, (each.pk for each in comparison.completions.all()))
    scores = [pairs_right(known, ranking) for ranking in given]
    share = share_right(scores)
    return KnownRow(
        comparison,
        in_letters(comparison.known_ranking, letters),
        len(given),
        None if share is None else round(100 * share),
        sum(2 * right < total for right, total in scores),
    )


@require_http_methods(["GET", "POST"])
@login_required
def known_answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Make this comparison's known answer, or change it. ``?from=known|decision|mine|most``: what to begin with."""
    found = managed_comparison(request, pk)
    letters = fixed_letters(found.content_key, found.completions.values_list("pk", flat=True))
    proposals = _proposals(found, request.user)
    chosen = request.GET.get("from") if request.GET.get("from") in proposals else next(iter(proposals), "")
    form = KnownAnswerForm(
        request.POST or None,
        letters=letters,
        allow_ties=found.project.allow_ties,
        at_work=unqualified_at_work(found.project).count(),
        initial={
            "purpose": Purpose.GOLD if found.purpose == Purpose.WORK else found.purpose,
            "explanation": found.explanation,
            **KnownAnswerForm.initial_of(proposals.get(chosen, []), letters),
        },
    )
    if form.is_valid():
        try:
            _save(found, form, request.user)
        except ReviewRefused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"Comparison {pk} has a known answer: it is in no queue and no new snapshot.")
            return redirect("annotation:known_answers", found.project.slug)
    context = {
        "project": found.project,
        "comparison": found,
        "form": form,
        "review": review_of(found),
        "proposals": list(proposals),
        "chosen": chosen,
        "may_manage": True,
    }
    return render(request, "annotation/known_answer.html", context, status=422 if form.is_bound else 200)


@transaction.atomic
def _save(comparison: Comparison, form: KnownAnswerForm, by: AbstractBaseUser) -> None:
    actions.set_known_answer(
        comparison=comparison,
        purpose=form.cleaned_data["purpose"],
        ranking=form.ranking().groups,
        explanation=form.cleaned_data["explanation"],
        by=by,
    )
    if form.waives:
        waive_for_who_works(project=comparison.project, by=by)


def _proposals(comparison: Comparison, user: AbstractBaseUser) -> dict[str, list[list[int]]]:
    """What the form may begin with: groups of completion ids, the most trusted first."""
    current = list(comparison.judgments.current().order_by("-pk"))
    decision = next((judgment for judgment in current if judgment.is_decision), None)
    mine = next((each for each in current if not each.is_decision and each.annotator_id == user.pk), None)
    given = [judgment.ranking for judgment in current if not judgment.is_decision]
    items = list(comparison.completions.values_list("pk", flat=True))
    proposals = {
        "known": comparison.known_ranking,
        "decision": decision and decision.ranking,
        "mine": mine and mine.ranking,
        "most": proposed_order(given, items) if given else None,
    }
    return {name: groups for name, groups in proposals.items() if groups}


@require_http_methods(["GET", "POST"])
@login_required
def back_to_work(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks first: annotators get the comparison again, as work."""
    found = managed_comparison(request, pk)
    if request.method == "POST":
        actions.turn_back_to_work(comparison=found, by=request.user)
        messages.success(request, f"Comparison {pk} is work again.")
        return redirect("annotation:comparison", pk)
    if found.purpose == Purpose.WORK:
        return redirect("annotation:comparison", pk)
    return render(request, "annotation/back_to_work.html", {"project": found.project, "comparison": found})
