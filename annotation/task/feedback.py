"""What an annotator learns after a training item: their ranking beside the known one, and why it is right."""

from typing import Any

from annotation.models import Assignment, Judgment
from annotation.rendering.markdown import render
from annotation.rules.known import known_ranking, pairs_right
from annotation.rules.letters import in_letters
from annotation.rules.ranking import Ranking
from annotation.task.page import answer_form, edit_in, letters, task_context


def feedback_context(assignment: Assignment) -> dict[str, Any]:
    """The page of a submitted training item. ``feedback``: both rankings in letters, pairs right of how many, why."""
    comparison = assignment.comparison
    judgment = assignment.judgments.current().get()
    known = known_ranking(comparison.known_ranking)
    right, total = pairs_right(known, Ranking(tuple(map(tuple, judgment.ranking))))
    names = letters_of(judgment, assignment)
    return {
        **task_context(assignment, answer_form(assignment)),
        "feedback": {
            "yours": in_letters(judgment.ranking, names),
            "known": in_letters(comparison.known_ranking, names),
            "right": right,
            "total": total,
            "is_right": right == total,
            "explanation": render(comparison.explanation) if comparison.explanation.strip() else None,
        },
    }


def letters_of(judgment: Judgment, assignment: Assignment) -> dict[int, str]:
    """Completion id -> letter, as this annotator saw them; their own better answer is "A+"."""
    names = {pk: letter for letter, pk in letters(assignment).items()}
    if edit := edit_in(judgment, assignment):
        pk, edit_of, _ = edit
        names[pk] = f"{names.get(edit_of, '')}+"
    return names
