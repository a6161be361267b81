"""What an annotator learns after a training item: their ranking beside the known one, and why it is right."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import Assignment, Judgment
from annotation.rendering.markdown import render
from annotation.rules.known import known_ranking, pairs_right
from annotation.rules.letters import in_letters
from annotation.rules.ranking import Ranking
from annotation.task.page import Card, answer_form, edit_in, letters, task_context


@dataclass(frozen=True)
class Placed:
    """A completion with the place that it has in the known answer and the one that the annotator gave it, from 1."""

    card: Card
    known: int
    yours: int

    @property
    def is_off(self) -> bool:
        return self.known != self.yours


def feedback_context(assignment: Assignment) -> dict[str, Any]:
    """The page of a submitted training item. ``feedback``: both rankings in letters, pairs right of how many, why."""
    comparison = assignment.comparison
    judgment = assignment.judgments.current().get()
    known = known_ranking(comparison.known_ranking)
    right, total = pairs_right(known, Ranking(tuple(map(tuple, judgment.ranking))))
    names = letters_of(judgment, assignment)
    shown = task_context(assignment, answer_form(assignment))
    return {
        **shown,
        "feedback": {
            "placed": placed(shown["cards"], letters(assignment), comparison.known_ranking, judgment.ranking),
            "yours": in_letters(judgment.ranking, names),
            "known": in_letters(comparison.known_ranking, names),
            "right": right,
            "total": total,
            "is_right": right == total,
            "explanation": render(comparison.explanation) if comparison.explanation.strip() else None,
        },
    }


def placed(
    cards: Sequence[Card], ids: dict[str, int], known: Sequence[Sequence[int]], yours: Sequence[Sequence[int]]
) -> list[Placed]:
    """The completions, best by the known answer first. An edit takes no place: the known answer cannot have it."""
    known_places, own_places = _places(known, among=set(ids.values())), _places(yours, among=set(ids.values()))
    found = [Placed(card, known_places[ids[card.letter]], own_places[ids[card.letter]]) for card in cards]
    return sorted(found, key=lambda each: (each.known, each.card.letter))


def _places(groups: Sequence[Sequence[Hashable]], *, among: set) -> dict[Hashable, int]:
    kept = [[pk for pk in group if pk in among] for group in groups]
    return {pk: place for place, group in enumerate(filter(None, kept), start=1) for pk in group}


def letters_of(judgment: Judgment, assignment: Assignment) -> dict[int, str]:
    """Completion id -> letter, as this annotator saw them; their own better answer is "A+"."""
    names = {pk: letter for letter, pk in letters(assignment).items()}
    if edit := edit_in(judgment, assignment):
        pk, edit_of, _ = edit
        names[pk] = f"{names.get(edit_of, '')}+"
    return names
