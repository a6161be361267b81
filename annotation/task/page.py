"""What the ranking page shows of an assignment: the conversation, and the completions blinded by letters.

A letter is a place in this assignment's own order of display. No id of a completion and no trace of a model
leaves the server, nor whether the answer is known already.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.forms import BoundField

from annotation.models import Assignment, AssignmentPurpose, AssignmentState, Judgment, Membership, Project, Role
from annotation.rendering.conversation import conversation
from annotation.rendering.markdown import Rendered, render
from annotation.rules.protocol import Aspect, StrengthScale
from annotation.rules.ranking import Strength
from annotation.task.answer_form import AnswerForm, initial_of_judgment
from annotation.task.guidelines import guidelines_shown
from annotation.task.progress import own_progress
from sampling.models import Completion

# On the buttons of a pairwise scale, where there is no room for "significantly better".
SHORT_WORDS = {
    StrengthScale.NONE: {},
    StrengthScale.LLAMA2: {
        Strength.SIGNIFICANTLY_BETTER: "significantly",
        Strength.BETTER: "better",
        Strength.SLIGHTLY_BETTER: "slightly",
        Strength.NEGLIGIBLY_BETTER: "negligibly",
    },
    StrengthScale.HELPSTEER3: {
        Strength.SIGNIFICANTLY_BETTER: "much",
        Strength.BETTER: "better",
        Strength.SLIGHTLY_BETTER: "slightly",
    },
}


@dataclass(frozen=True)
class AspectField:
    """One aspect's scale and the field in which one completion is rated on it."""

    aspect: Aspect
    field: BoundField


@dataclass(frozen=True)
class Card:
    letter: str
    number: int  # the key that picks it
    text: Rendered
    rank: BoundField  # for those who have no JavaScript
    is_empty: bool
    words: int | None  # where the project shows lengths
    original: str | None  # to begin an edit with, where it is not what is shown as raw text
    safety: BoundField | None
    aspects: list[AspectField]
    defects: BoundField | None


def letters(assignment: Assignment) -> dict[str, int]:
    """Letter -> completion id, in the order of display."""
    return dict(zip(ascii_uppercase, assignment.display_order, strict=False))


def texts_shown(assignment: Assignment) -> dict[str, str]:
    """Letter -> text, in the order of display."""
    texts = dict(Completion.objects.filter(pk__in=assignment.display_order).values_list("pk", "text"))
    return {letter: texts[pk] for letter, pk in letters(assignment).items()}


def answer_form(assignment: Assignment, data: Mapping[str, Any] | None = None, **how: bool) -> AnswerForm:
    """The form of this assignment: with what was sent, else with the draft or the judgment that it holds."""
    return AnswerForm(
        data,
        names=letters(assignment),
        project=assignment.comparison.project,
        **how,
        initial=None if data is not None else {"based_on": 0, **_kept_answer(assignment), "request_key": uuid.uuid4()},
    )


def _kept_answer(assignment: Assignment) -> dict[str, Any]:
    if assignment.state != AssignmentState.SUBMITTED:
        return assignment.draft or {}
    judgment = assignment.judgments.current().get()
    written_at = {"drafted_at": int(judgment.created_at.timestamp() * 1000)}
    takes_edits = assignment.comparison.project.allow_edits
    edit = edit_in(judgment, assignment)
    return initial_of_judgment(judgment, letters(assignment), edit, takes_edits=takes_edits) | written_at


def edit_in(judgment: Judgment, assignment: Assignment) -> tuple[int, int, str] | None:
    """The id of the better answer that the annotator wrote, of what it is an edit, and its text."""
    written = {pk for group in judgment.ranking for pk in group} - set(assignment.display_order)
    if not written:
        return None
    return Completion.objects.values_list("pk", "edit_of_id", "text").get(pk__in=written)


def page_context(project: Project, annotator: AbstractBaseUser, membership: Membership | None) -> dict[str, Any]:
    """What stands around the task, and is there too when nothing is left to do. ``membership``: the annotator's."""
    progress = own_progress(project=project, annotator=annotator)
    return {
        "project": project,
        "guidelines": guidelines_shown(project, membership),
        "progress": progress,
        "can_go_back": progress.done > 0,
        "may_manage": annotator.is_staff or (membership is not None and membership.role == Role.MANAGER),
    }


def task_context(assignment: Assignment, form: AnswerForm) -> dict[str, Any]:
    """What the page shows of one assignment. The texts and the conversation are one query each."""
    project = assignment.comparison.project
    return {
        "assignment": assignment,
        "is_correction": assignment.state == AssignmentState.SUBMITTED,
        "is_review": assignment.purpose == AssignmentPurpose.REVIEW,
        # A training item's feedback comes before anything else; nothing else tells it from work.
        "waits": assignment.purpose == AssignmentPurpose.TRAINING,
        "conversation": conversation(assignment.comparison.prompt.messages),
        "cards": [
            _card(number, letter, text, form)
            for number, (letter, text) in enumerate(texts_shown(assignment).items(), start=1)
        ],
        "form": form,
        "scale_levels": scale_levels(project.scale),
        "tie_label": "about the same" if project.scale == StrengthScale.HELPSTEER3 else "tie",
        "rationale": str(project.rationale),
    }


def _card(number: int, letter: str, text: str, form: AnswerForm) -> Card:
    shown = render(text)
    return Card(
        letter=letter,
        number=number,
        text=shown,
        rank=form[f"rank_{letter}"],
        is_empty=not text.strip(),
        words=len(text.split()) if form.project.show_length else None,
        original=text if form.project.allow_edits and not shown.unshown and shown.raw != text else None,
        safety=form.mark_field(f"safety_{letter}"),
        aspects=[AspectField(aspect, form[f"aspect_{aspect.key}_{letter}"]) for aspect in form.aspects],
        defects=form.mark_field(f"defects_{letter}"),
    )


def scale_levels(scale: StrengthScale) -> list[dict[str, str]]:
    """The strengths on offer, strongest first, in whole words and in short ones."""
    return [
        {"value": level.value, "label": scale.words(level), "short": SHORT_WORDS[scale][level]}
        for level in scale.levels
    ]
