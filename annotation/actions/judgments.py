"""Keep judgments. Never edited: a correction is another one that supersedes it."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from annotation.actions.leases import locked, must_be_held
from annotation.actions.refusals import AnsweredMeanwhile, KeyReused
from annotation.advisory_locks import Family, wait_for
from annotation.models import (
    Assignment,
    AssignmentPurpose,
    AssignmentState,
    JudgeKind,
    Judgment,
    Project,
    Rationale,
)
from annotation.queue import overlap
from annotation.rendering.markdown import SHOWN_CHARACTERS
from annotation.rules.marks import Mark, Questions, check_mark
from annotation.rules.ranking import EDIT, Ranking, RankingError, check_covers, check_edit
from sampling.models import Completion, Event, Origin
from sampling.webhooks.emitting import emit, is_heard


@dataclass(frozen=True)
class Edit:
    """A better answer that the annotator wrote: a new completion. In the ranking it is called EDIT."""

    of: int  # the completion that it began as
    text: str


@dataclass(frozen=True)
class Answer:
    """Everything that an annotator says about one comparison, by completion id."""

    ranking: Sequence[Sequence[int | str]]  # groups, best first; EDIT names the edit
    strengths: Sequence[str] = ()
    marks: Mapping[int, Mark] | None = None
    all_bad: bool = False
    edit: Edit | None = None
    rationale: str = ""
    seconds_spent: float | None = None


@dataclass(frozen=True)
class Basis:
    """What the page that an answer comes from knows of: the revision it was opened on, 0 for none, and the keys
    under which it has sent other versions since. One of those may have arrived without the page being told."""

    revision: int
    keys: Collection[uuid.UUID] = ()


def submit_judgment(
    *,
    assignment: Assignment,
    annotator: AbstractBaseUser,
    answer: Answer,
    request_key: uuid.UUID,
    based_on: Basis | None = None,
) -> Judgment:
    """Keep an answer and fill the slot, in one transaction.

    The same answer under the same ``request_key`` again returns the first judgment; another answer under it is
    refused. An assignment that was submitted before gets a new revision that supersedes the old one, unless that is
    one that ``based_on`` does not know of; None knows of all. Raises RankingError, MarksError or AnswerRefused; then
    nothing is written.
    """
    try:
        with transaction.atomic():
            current, project = locked(assignment, annotator)
            ranking = _checked(project, current, answer)
            # After the lock: a repeated request waited there for the first one to end.
            judgment = _kept(current, request_key)
            if judgment is None:
                judgment = _judge(project, current, ranking, answer, request_key, based_on)
            elif not _says(judgment, project, current, ranking, answer):
                raise AnsweredMeanwhile(current.judgments.current().get().revision)
    except overlap.SlotIsParked:
        with overlap.unparked(assignment):
            return submit_judgment(
                assignment=assignment, annotator=annotator, answer=answer, request_key=request_key, based_on=based_on
            )
    except IntegrityError as error:
        if "request_key" in str(error):  # the key of somebody else's judgment: a forged or broken request
            raise KeyReused("Another answer used this key. Reload the page and send it again.") from error
        raise
    assignment.state, assignment.draft = AssignmentState.SUBMITTED, None  # as it is now; not worth a query
    return judgment


def questions_of(project: Project) -> Questions:
    """What this project asks about each completion."""
    return Questions(project.ask_safety, tuple(project.asked_aspects), tuple(project.asked_defects))


def _checked(project: Project, assignment: Assignment, answer: Answer) -> Ranking:
    groups = tuple(map(tuple, answer.ranking))
    ranking = Ranking(groups, tuple(answer.strengths) if project.asks_strength else ())
    shown = [*assignment.display_order, *([EDIT] if answer.edit else [])]
    check_covers(ranking, shown)
    if answer.edit:
        _check_edit(project, assignment, answer.edit)
        check_edit(ranking, answer.edit.of)
    if answer.all_bad and not project.allow_all_bad:
        raise RankingError('This project does not offer "all are bad". Rank the completions, or skip.')
    if ranking.has_ties and not project.allow_ties and not answer.all_bad:
        raise RankingError("This project has no ties. Give each completion a place of its own.")
    if outside := set(ranking.strengths) - set(project.scale.levels) if project.asks_strength else ():
        raise RankingError(f'"{min(outside)}" is not on this project\'s scale. Choose one of the levels on the page.')
    if project.rationale == Rationale.REQUIRED and not answer.rationale.strip():
        raise RankingError("Say why: this project wants a rationale with every answer.")
    _check_marks(project, assignment, answer)
    return ranking


def _check_edit(project: Project, assignment: Assignment, edit: Edit) -> None:
    if not project.allow_edits:
        raise RankingError("This project takes no edits. Rank the completions as they are.")
    if edit.of not in assignment.display_order:
        raise RankingError("The edit is of a completion that was not shown here. Reload the page.")
    if not edit.text.strip():
        raise RankingError("Your better answer is empty. Write it, or take the edit away.")
    original = Completion.objects.values_list("text", flat=True).get(pk=edit.of)
    if len(original) > SHOWN_CHARACTERS:  # an edit of what the page shows would leave out the rest
        raise RankingError(
            f"Completions of more than {SHOWN_CHARACTERS:,} characters cannot be edited. Take the edit away."
        )
    if edit.text.split() == original.split():
        raise RankingError("Your better answer is the same as what it began as. Change it, or take the edit away.")


def _check_marks(project: Project, assignment: Assignment, answer: Answer) -> None:
    questions = questions_of(project)
    marks = answer.marks or {}
    for place, pk in enumerate(assignment.display_order):
        check_mark(marks.get(pk, Mark()), questions, chr(ord("A") + place))


def _kept(assignment: Assignment, request_key: uuid.UUID) -> Judgment | None:
    if assignment.state != AssignmentState.SUBMITTED:  # nothing was kept of it under any key
        return None
    return Judgment.objects.filter(request_key=request_key, assignment=assignment).first()


def _judge(
    project: Project,
    assignment: Assignment,
    ranking: Ranking,
    answer: Answer,
    request_key: uuid.UUID,
    based_on: Basis | None,
) -> Judgment:
    previous = None
    if assignment.state == AssignmentState.SUBMITTED:
        previous = assignment.judgments.current().get()
        if based_on and previous.revision != based_on.revision and previous.request_key not in based_on.keys:
            if _says(previous, project, assignment, ranking, answer):
                return previous  # two tabs that agree
            raise AnsweredMeanwhile(previous.revision)
    else:
        must_be_held(assignment)
        assignment.move_to(AssignmentState.SUBMITTED, is_locked=True, draft=None)
        overlap.fill(assignment.slot_id)
    edit = _completion_of(assignment, answer.edit).pk if answer.edit else None
    judgment = Judgment.objects.create(
        comparison_id=assignment.comparison_id,
        annotator_id=assignment.annotator_id,
        assignment=assignment,
        kind=assignment.own_kind or JudgeKind.PERSON,
        is_decision=assignment.purpose == AssignmentPurpose.REVIEW,
        **_content(project, assignment, ranking, answer, edit),
        seconds_spent=answer.seconds_spent,
        guidelines_version_id=project.guidelines_version_id,
        revision=previous.revision + 1 if previous else 1,
        supersedes=previous,
        request_key=request_key,
    )
    if previous is None:
        _tell_if_completed(project, judgment)
    return judgment


# The last of its slots is filled; asked of gold too, which has none, so that both take the same statements.
_COMPLETED = """
    EXISTS (SELECT FROM annotation_comparison WHERE id = %(comparison)s AND purpose = 'work')
    AND EXISTS (SELECT FROM annotation_slot WHERE comparison_id = %(comparison)s AND is_filled)
    AND NOT EXISTS (
        SELECT FROM annotation_slot WHERE comparison_id = %(comparison)s AND NOT is_filled AND NOT is_parked)
"""


def _tell_if_completed(project: Project, judgment: Judgment) -> None:
    if not is_heard(Event.COMPARISON_COMPLETED):
        return
    # Of two that come together, neither sees the other's slot as filled: so the second waits. The last lock taken.
    wait_for(Family.COMPLETED, judgment.comparison_id)
    data = {"project": project.slug, "comparison": judgment.comparison_id, "judgment": judgment.pk}
    parameters = {"comparison": judgment.comparison_id}
    emit(Event.COMPARISON_COMPLETED, data, only_if=_COMPLETED, parameters=parameters)


def _content(
    project: Project, assignment: Assignment, ranking: Ranking, answer: Answer, edit: int | None
) -> dict[str, Any]:
    """What a judgment says, field by field. ``edit``: the id of the better answer."""
    if edit is not None:
        ranking = ranking.map({pk: pk for pk in ranking.items} | {EDIT: edit})
    return {
        "ranking": [list(group) for group in ranking.groups],
        "strengths": [str(strength) for strength in ranking.strengths],
        "marks": _marks_as_json(project, assignment, answer),
        "all_bad": answer.all_bad,
        "rationale": answer.rationale if project.rationale != Rationale.OFF else "",
    }


def _says(judgment: Judgment, project: Project, assignment: Assignment, ranking: Ranking, answer: Answer) -> bool:
    """Whether the judgment says just what this answer does; how long it took does not matter."""
    edit = None
    if answer.edit:
        edit = Completion.objects.filter(**_edit_fields(assignment, answer.edit)).values_list("pk", flat=True).first()
        if edit is None:
            return False
    said = _content(project, assignment, ranking, answer, edit)
    kept = {name: getattr(judgment, name) for name in said}
    return _in_no_order(said) == _in_no_order(kept)


def _in_no_order(content: dict[str, Any]) -> dict[str, Any]:
    """Within a tie the order says nothing."""
    return content | {"ranking": [sorted(group) for group in content["ranking"]]}


def _marks_as_json(project: Project, assignment: Assignment, answer: Answer) -> dict[str, Any]:
    questions = questions_of(project)
    if not questions:
        return {}
    marks = answer.marks or {}
    return {str(pk): marks.get(pk, Mark()).as_json(questions) for pk in assignment.display_order}


def _completion_of(assignment: Assignment, edit: Edit) -> Completion:
    """The edit as a completion; the same words by the same person again are the same completion."""
    return Completion.objects.get_or_create(
        **_edit_fields(assignment, edit),
        defaults={"prompt_id": assignment.comparison.prompt_id, "finish_reason": "stop"},
    )[0]


def _edit_fields(assignment: Assignment, edit: Edit) -> dict[str, Any]:
    return {
        "origin": Origin.PERSON, "edit_of_id": edit.of, "written_by_id": assignment.annotator_id, "text": edit.text,
    }  # fmt: skip
