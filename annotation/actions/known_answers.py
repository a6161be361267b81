"""Give comparisons a known answer, and take it away again: gold, qualification and training items."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from annotation.actions.history import record
from annotation.actions.review import ReviewRefused, locked, take_out_of_queue
from annotation.models import Comparison, Purpose
from annotation.queue import overlap
from annotation.rules.letters import fixed_letters, in_letters
from annotation.rules.ranking import Ranking, check_covers


@transaction.atomic
def set_known_answer(
    *,
    comparison: Comparison,
    purpose: str,
    ranking: Sequence[Sequence[int]],
    explanation: str = "",
    by: AbstractBaseUser,
) -> Comparison:
    """Make it gold, a qualification or a training item, or change the one that it is.

    It leaves the queue and the data: who holds it as work has lost it, and what was judged stays on record. Raises
    RankingError unless ``ranking`` places exactly its completions; ReviewRefused for a withdrawn one.
    """
    purpose = Purpose(purpose)
    if purpose == Purpose.WORK:
        raise ValueError("Work has no known answer: turn_back_to_work takes it away.")
    comparison = locked(comparison)
    if comparison.withdrawn_at:
        raise ReviewRefused("This comparison is withdrawn. Restore it before it is given a known answer.")
    check_covers(Ranking(tuple(map(tuple, ranking))), comparison.completions.values_list("pk", flat=True))
    before = _on_record(comparison)
    if comparison.purpose != purpose:
        # Also from one kind to another: an assignment says for what it was handed out.
        take_out_of_queue(comparison)
    comparison.purpose = purpose
    comparison.known_ranking = [list(group) for group in ranking]
    comparison.explanation = explanation.replace("\r\n", "\n")
    comparison.save(update_fields=["purpose", "known_ranking", "explanation"])
    _record(comparison, by, before)
    return comparison


@transaction.atomic
def turn_back_to_work(*, comparison: Comparison, by: AbstractBaseUser) -> None:
    """Make it work again. Its known answer stays in the row, as a proposal should it be wanted again; twice is once."""
    comparison = locked(comparison)
    if comparison.purpose == Purpose.WORK:
        return
    before = _on_record(comparison)
    take_out_of_queue(comparison)
    comparison.purpose = Purpose.WORK
    comparison.save(update_fields=["purpose"])
    overlap.fit_one(comparison.pk)
    _record(comparison, by, before)


def _record(comparison: Comparison, by: AbstractBaseUser, before: Any) -> None:
    record(
        project=comparison.project, by=by, what="known answer", subject=f"comparison {comparison.pk}",
        before=before, after=_on_record(comparison),
    )  # fmt: skip


def _on_record(comparison: Comparison) -> Any:
    if comparison.purpose == Purpose.WORK:
        return "work"
    letters = fixed_letters(comparison.content_key, comparison.completions.values_list("pk", flat=True))
    return {
        "purpose": str(comparison.purpose),
        "known answer": in_letters(comparison.known_ranking, letters),
        "explanation": comparison.explanation,
    }
