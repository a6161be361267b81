"""An annotator's task, answers and feedback as JSON: blind, and gold in the shape of work."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from annotation.api import answers
from annotation.models import Assignment, AssignmentPurpose, AssignmentState
from annotation.rules.known import known_ranking, pairs_right
from annotation.rules.ranking import Ranking
from annotation.task.feedback import letters_of
from annotation.task.page import texts_shown

KINDS = ["work", "training", "review"]


class Candidate(serializers.Serializer):
    letter = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    words = serializers.IntegerField(allow_null=True, help_text="Where the project shows lengths.")


class AssignmentShown(serializers.Serializer):
    """A comparison as its annotator sees it. What is asked of them stands in the project."""

    id = serializers.UUIDField()
    project = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=KINDS, help_text="training: feedback follows; review: a decision.")
    state = serializers.ChoiceField(choices=AssignmentState.choices)
    page = serializers.CharField()
    messages = serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_blank=True)))
    completions = Candidate(many=True)
    draft = serializers.DictField(allow_null=True, help_text="The answer as it stood when it was last saved.")
    answer = answers.AnswerShown(allow_null=True)


class OwnAnswerShown(serializers.Serializer):
    """One line of one's own answers."""

    id = serializers.UUIDField()
    project = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=KINDS)
    state = serializers.ChoiceField(choices=AssignmentState.choices)
    page = serializers.CharField()
    at = serializers.DateTimeField()
    prompt = serializers.CharField(allow_blank=True, help_text="Its beginning.")
    ranking = serializers.CharField(allow_blank=True, help_text="Such as B > A = C; empty of what was skipped.")
    strengths = serializers.CharField(allow_blank=True)
    revision = serializers.IntegerField(allow_null=True)
    rationale = serializers.CharField(allow_blank=True)
    skip_reason = serializers.CharField(allow_blank=True)
    flag = serializers.CharField(allow_blank=True, help_text="What you told the managers of it.")
    resolution = serializers.CharField(allow_blank=True, help_text="What they did.")


class FeedbackShown(serializers.Serializer):
    yours = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    known = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    right = serializers.IntegerField(help_text="Pairs of completions, of how many:")
    total = serializers.IntegerField()
    explanation = serializers.CharField(allow_blank=True)


def _kind(assignment: Assignment) -> str:
    """What the page tells too. Gold and qualification are work to whoever does them."""
    match AssignmentPurpose(assignment.purpose):
        case AssignmentPurpose.TRAINING:
            return "training"
        case AssignmentPurpose.REVIEW:
            return "review"
        case AssignmentPurpose.WORK | AssignmentPurpose.GOLD | AssignmentPurpose.QUALIFICATION:
            return "work"


def shown(assignment: Assignment) -> dict[str, Any]:
    project, is_submitted = assignment.comparison.project, assignment.state == AssignmentState.SUBMITTED
    judgment = assignment.judgments.current().get() if is_submitted else None
    return {
        "id": assignment.pk,
        "project": project.pk,
        "kind": _kind(assignment),
        "state": assignment.state,
        "page": assignment.get_absolute_url(),
        "messages": assignment.comparison.prompt.messages,
        "completions": [
            {"letter": letter, "text": text, "words": len(text.split()) if project.show_length else None}
            for letter, text in texts_shown(assignment).items()
        ],
        "draft": assignment.draft,
        "answer": answers.shown(assignment, judgment) if judgment else None,
    }


def line(line: Any) -> dict[str, Any]:
    assignment: Assignment = line.assignment
    return OwnAnswerShown(
        {
            "id": assignment.pk,
            "project": assignment.comparison.project_id,
            "kind": _kind(assignment),
            "state": assignment.state,
            "page": assignment.get_absolute_url(),
            "at": line.at,
            "prompt": line.prompt,
            "ranking": line.ranking,
            "strengths": line.strengths,
            "revision": line.judgment.revision if line.judgment else None,
            "rationale": line.judgment.rationale if line.judgment else "",
            "skip_reason": assignment.skip_reason,
            "flag": line.flag.note if line.flag else "",
            "resolution": line.flag.resolution if line.flag else "",
        }
    ).data


def feedback(assignment: Assignment) -> dict[str, Any]:
    comparison, judgment = assignment.comparison, assignment.judgments.current().get()
    names = letters_of(judgment, assignment)
    known = known_ranking(comparison.known_ranking)
    right, total = pairs_right(known, Ranking(tuple(map(tuple, judgment.ranking))))
    return {
        "yours": _in_letters(judgment.ranking, names),
        "known": _in_letters(comparison.known_ranking, names),
        "right": right,
        "total": total,
        "explanation": comparison.explanation,
    }


def _in_letters(groups: Iterable[Iterable[int]], names: dict[int, str]) -> list[list[str]]:
    return [sorted(names.get(pk, "?") for pk in group) for group in groups]
