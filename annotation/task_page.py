"""What the ranking page shows of an assignment: the conversation, and the completions blinded by letters.

A letter is a place in this assignment's own order of display. No id of a completion and no trace of a model
leaves the server.
"""

import uuid
from dataclasses import dataclass
from string import ascii_uppercase

from annotation.forms import AnswerForm
from annotation.models import Assignment, AssignmentState
from annotation.rendering import Rendered, render
from sampling.models import Completion


@dataclass(frozen=True)
class Turn:
    role: str
    text: Rendered


@dataclass(frozen=True)
class Card:
    letter: str
    number: int  # the key that picks it
    text: Rendered
    rank: object  # the form's bound field, for those who have no JavaScript
    is_empty: bool


def letters(assignment: Assignment) -> dict[str, int]:
    """Letter -> completion id, in the order of display."""
    return dict(zip(ascii_uppercase, assignment.display_order, strict=False))


def answer_form(assignment: Assignment, data=None) -> AnswerForm:
    """The form of this assignment: with what was sent, else with the draft or the judgment that it holds."""
    return AnswerForm(
        data,
        names=letters(assignment),
        project=assignment.comparison.project,
        initial=None if data is not None else {"request_key": uuid.uuid4(), **_kept_answer(assignment)},
    )


def _kept_answer(assignment: Assignment) -> dict:
    if assignment.state == AssignmentState.SUBMITTED:
        judgment = assignment.judgments.current().get()
        place = {pk: n for n, group in enumerate(judgment.ranking, start=1) for pk in group}
        ranks = {letter: place[pk] for letter, pk in letters(assignment).items()}
        return AnswerForm.initial_of(ranks, judgment.strengths, judgment.rationale, judgment.seconds_spent)
    draft = assignment.draft or {}
    return AnswerForm.initial_of(
        draft.get("ranks", {}),
        draft.get("strengths", []),
        draft.get("rationale", ""),
        draft.get("seconds_spent"),
    )


def task_context(assignment: Assignment, form: AnswerForm) -> dict:
    texts = dict(Completion.objects.filter(pk__in=assignment.display_order).values_list("pk", "text"))
    cards = [
        Card(letter, number, render(texts[pk]), form[f"rank_{letter}"], not texts[pk].strip())
        for number, (letter, pk) in enumerate(letters(assignment).items(), start=1)
    ]
    return {
        "assignment": assignment,
        "is_correction": assignment.state == AssignmentState.SUBMITTED,
        "conversation": [
            Turn(message["role"], render(message["content"])) for message in assignment.comparison.prompt.messages
        ],
        "cards": cards,
        "form": form,
    }
