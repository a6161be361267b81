"""Keep judgments. Never edited: a correction is another one that supersedes it."""

import uuid
from collections.abc import Sequence

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from annotation.actions.leases import locked, must_be_held
from annotation.actions.refusals import KeyReused
from annotation.models import Assignment, AssignmentState, JudgeKind, Judgment, Membership, Project, Slot
from annotation.ranking import Ranking, RankingError, check_covers


def submit_judgment(
    *,
    assignment: Assignment,
    annotator: AbstractBaseUser,
    ranking: Sequence[Sequence[int]],
    strengths: Sequence[str],
    request_key: uuid.UUID,
    seconds_spent: float | None = None,
    rationale: str = "",
) -> Judgment:
    """Keep a ranking (groups of completion ids, best first) and fill the slot, in one transaction.

    The same ``request_key`` again returns the first judgment. An assignment that was submitted before gets a
    new revision that supersedes the old one. Raises RankingError or AnswerRefused; then nothing is written.
    """
    try:
        with transaction.atomic():
            current, slot = locked(assignment, annotator)
            # After the lock: a repeated request waited there for the first one to end.
            if earlier := Judgment.objects.filter(request_key=request_key, assignment=current).first():
                return earlier
            checked = _checked(slot.project, current, ranking, strengths)
            judgment = _judge(current, checked, request_key, seconds_spent, rationale)
    except IntegrityError as error:
        if "request_key" in str(error):  # the key of somebody else's judgment: a forged or broken request
            raise KeyReused("Another answer used this key. Reload the page and send it again.") from error
        raise
    assignment.refresh_from_db()
    return judgment


def _checked(project: Project, assignment: Assignment, groups, strengths) -> Ranking:
    ranking = Ranking(tuple(map(tuple, groups)), tuple(strengths) if project.ask_strength else ())
    check_covers(ranking, assignment.display_order)
    if ranking.has_ties and not project.allow_ties:
        raise RankingError("This project has no ties. Give each completion a place of its own.")
    return ranking


def _judge(assignment: Assignment, ranking: Ranking, request_key, seconds_spent, rationale) -> Judgment:
    previous = None
    if assignment.state == AssignmentState.SUBMITTED:
        previous = assignment.judgments.current().get()
    else:
        must_be_held(assignment)
        assignment.move_to(AssignmentState.SUBMITTED, draft=None)
        Slot.objects.filter(pk=assignment.slot_id).update(is_filled=True)
    membership = Membership.objects.filter(project__slots=assignment.slot_id, user=assignment.annotator_id).first()
    return Judgment.objects.create(
        comparison_id=assignment.comparison_id,
        annotator_id=assignment.annotator_id,
        assignment=assignment,
        kind=membership.kind if membership else JudgeKind.PERSON,
        ranking=[list(group) for group in ranking.groups],
        strengths=[str(strength) for strength in ranking.strengths],
        rationale=rationale,
        seconds_spent=seconds_spent,
        revision=previous.revision + 1 if previous else 1,
        supersedes=previous,
        request_key=request_key,
    )
