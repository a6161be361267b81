"""What an annotator has answered in a project so far, as their own page lists it. Reads only; no models' names."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet, TextChoices

from annotation.models import Assignment, AssignmentPurpose, AssignmentState, Flag, Judgment, Project
from annotation.rules.letters import in_letters
from annotation.rules.ranking import Strength
from annotation.task.page import letters
from sampling.models import Completion

PROMPT_CHARACTERS = 140
ANSWERED = (AssignmentState.SUBMITTED, AssignmentState.SKIPPED)


class Show(TextChoices):
    """Which of one's own answers are listed."""

    ALL = "", "All"
    JUDGED = "judged", "Judged"
    CORRECTED = "corrected", "Corrected"
    SKIPPED = "skipped", "Skipped"
    FLAGGED = "flagged", "Flagged"


@dataclass(frozen=True)
class OwnAnswer:
    """One line of the list. Gold and qualification look like any other work."""

    assignment: Assignment
    prompt: str
    at: datetime
    ranking: str  # in letters; empty for what was skipped
    strengths: str  # of its steps, in words; empty where nobody asked
    judgment: Judgment | None
    flag: Flag | None
    is_training: bool
    is_decision: bool


def own_answers(project: Project, annotator: AbstractBaseUser, show: Show, words: str = "") -> QuerySet[Assignment]:
    """Newest first. ``words`` are looked for in the prompt."""
    answered = Assignment.objects.filter(annotator=annotator.pk, comparison__project=project, state__in=ANSWERED)
    answered = only(answered, annotator, show)
    if words:
        answered = answered.filter(comparison__prompt__messages__icontains=words)
    return answered.select_related("comparison__prompt", "comparison__project").order_by("-created_at", "pk")


def only(answered: QuerySet[Assignment], annotator: AbstractBaseUser, show: Show) -> QuerySet[Assignment]:
    """Those of one annotator's answers that are to be listed."""
    match show:
        case Show.ALL:
            pass
        case Show.JUDGED:
            answered = answered.filter(state=AssignmentState.SUBMITTED)
        case Show.CORRECTED:
            answered = answered.filter(judgments__revision=2)
        case Show.SKIPPED:
            answered = answered.filter(state=AssignmentState.SKIPPED)
        case Show.FLAGGED:
            answered = answered.filter(comparison__in=Flag.objects.filter(raised_by=annotator.pk).values("comparison"))
    return answered


def as_lines(assignments: Iterable[Assignment], annotator: AbstractBaseUser) -> list[OwnAnswer]:
    """Three queries for the whole page of them."""
    assignments = list(assignments)
    judgments = {
        judgment.assignment_id: judgment for judgment in Judgment.objects.current().filter(assignment__in=assignments)
    }
    flags: dict[int, Flag] = {}
    compared = {assignment.comparison_id for assignment in assignments}
    # The newest flag of each comparison comes last and stays.
    for flag in Flag.objects.filter(comparison__in=compared, raised_by=annotator.pk).order_by("pk"):
        flags[flag.comparison_id] = flag
    edits = _edits_in(judgments.values(), assignments)
    return [
        _line(assignment, judgments.get(assignment.pk), flags.get(assignment.comparison_id), edits)
        for assignment in assignments
    ]


def _edits_in(judgments: Iterable[Judgment], assignments: Iterable[Assignment]) -> dict[int, int]:
    """Edit -> what it is an edit of, of all better answers that stand in these rankings."""
    shown = {pk for assignment in assignments for pk in assignment.display_order}
    ranked = {pk for judgment in judgments for group in judgment.ranking for pk in group}
    return dict(Completion.objects.filter(pk__in=ranked - shown).values_list("pk", "edit_of_id"))


def _line(
    assignment: Assignment, judgment: Judgment | None, flag: Flag | None, edits: dict[int, int]
) -> OwnAnswer:  # fmt: skip
    names = {pk: letter for letter, pk in letters(assignment).items()}
    names |= {pk: f"{names[edit_of]}+" for pk, edit_of in edits.items() if edit_of in names}
    return OwnAnswer(
        assignment=assignment,
        prompt=beginning_of(assignment.comparison.prompt.messages),
        at=judgment.created_at if judgment else assignment.created_at,
        ranking=in_letters(judgment.ranking, names) if judgment else "",
        strengths=_strengths(assignment.comparison.project, judgment) if judgment else "",
        judgment=judgment,
        flag=flag,
        is_training=assignment.purpose == AssignmentPurpose.TRAINING,
        is_decision=assignment.purpose == AssignmentPurpose.REVIEW,
    )


def _strengths(project: Project, judgment: Judgment) -> str:
    return (
        ", ".join(project.scale.words(Strength(each)) for each in judgment.strengths) if project.asks_strength else ""
    )


def beginning_of(messages: list[dict[str, str]]) -> str:
    """What was asked last, on one line."""
    asked = [message["content"] for message in messages if message["role"] == "user"] or [messages[-1]["content"]]
    line = " ".join(asked[-1][: 4 * PROMPT_CHARACTERS].split())
    return line if len(line) <= PROMPT_CHARACTERS else f"{line[:PROMPT_CHARACTERS].rstrip()}…"


def before(project: Project, annotator: AbstractBaseUser, assignment: Assignment | None) -> Assignment | None:
    """What this annotator submitted last, or last before ``assignment``; None where there is nothing."""
    first_ones = Judgment.objects.filter(
        annotator=annotator.pk, assignment__comparison__project=project, revision=1
    ).order_by("-pk")
    if assignment is not None and assignment.state == AssignmentState.SUBMITTED:
        first_ones = first_ones.filter(pk__lt=assignment.judgments.order_by("revision").values("pk")[:1])
    newest = first_ones.select_related("assignment").first()
    return newest.assignment if newest else None
