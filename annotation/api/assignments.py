"""An annotator's own work: take a comparison, see it blind, answer it, skip it, flag it, correct it.

As on the page, completions are known by the letters of this assignment alone, and nothing tells gold or qualification
from work: no comparison's id, no purpose, no end of a lease.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import actions
from annotation.access import own_assignment
from annotation.actions.flags import NOTE_CHARACTERS
from annotation.api import answers, visible
from annotation.models import Assignment, AssignmentPurpose, AssignmentState, Comparison, Judgment, Project
from annotation.queue.next_slot import NothingLeft, why_nothing
from annotation.rules.known import known_ranking, pairs_right
from annotation.rules.marks import MarksError
from annotation.rules.ranking import Ranking, RankingError
from annotation.task.feedback import letters_of
from annotation.task.own_answers import ANSWERED, Show, as_lines, only
from annotation.task.page import answer_form, letters, texts_shown
from sampling.models import Scope
from sampling.rest.pages import Pages
from sampling.rest.problems import Conflict
from sampling.rest.views import Resource

SKIP_CHARACTERS = 200
KINDS = ["work", "training", "review"]


class CompletionShown(serializers.Serializer):
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
    completions = CompletionShown(many=True)
    draft = serializers.DictField(allow_null=True, help_text="The answer as it stood when it was last saved.")
    answer = answers.AnswerShown(allow_null=True)


class ClaimAsked(serializers.Serializer):
    besides = serializers.UUIDField(
        default=None, allow_null=True, help_text="The one that is being worked on, where the one after it is asked for."
    )


class Claimed(serializers.Serializer):
    assignment = AssignmentShown(allow_null=True)
    nothing = serializers.ChoiceField(
        choices=[("", "there is one"), *((each.value, each.value) for each in NothingLeft)], help_text="Why there is none."
    )


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


class SkipAsked(serializers.Serializer):
    reason = serializers.CharField(max_length=SKIP_CHARACTERS, allow_blank=True, default="")


class DraftAsked(serializers.Serializer):
    draft = serializers.DictField(
        help_text="By the names of the page's form, such as rank_A, strength_1, rationale: what is sound is kept."
    )


class FlagAsked(serializers.Serializer):
    note = serializers.CharField(max_length=NOTE_CHARACTERS)


class OwnFlag(serializers.Serializer):
    note = serializers.CharField()
    created_at = serializers.DateTimeField()


class FeedbackShown(serializers.Serializer):
    yours = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    known = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    right = serializers.IntegerField(help_text="Pairs of completions, of how many:")
    total = serializers.IntegerField()
    explanation = serializers.CharField(allow_blank=True)


class AssignmentFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(field_name="comparison__project", queryset=visible.to_filter_by())
    show = filters.ChoiceFilter(
        choices=[(each.value, each.label) for each in Show if each.value], method="narrowed"
    )

    class Meta:
        model = Assignment
        fields: list[str] = []

    def narrowed(self, rows: QuerySet[Assignment], name: str, value: str) -> QuerySet[Assignment]:
        return only(rows, self.request.user, Show(value))


class NewestFirst(Pages):
    ordering = "-created_at"


class Assignments(mixins.ListModelMixin, Resource):
    """One's own answers, and what one holds."""

    queryset = Assignment.objects.all()
    serializer_class = OwnAnswerShown
    filterset_class = AssignmentFilters
    pagination_class = NewestFirst
    write_scope = Scope.ANNOTATE
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Assignment]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        mine = super().get_queryset().filter(annotator=self.request.user.pk, state__in=ANSWERED)
        mine = mine.filter(comparison__project__in=visible.projects(self.request.user).values("pk"))
        return mine.select_related("comparison__prompt", "comparison__project")

    @extend_schema(responses=OwnAnswerShown(many=True))
    def list(self, request: Request) -> Response:
        """What one has judged and skipped, the newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response([_line(each) for each in as_lines(page, request.user)])

    @extend_schema(responses=AssignmentShown)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        """The comparison as it is shown to oneself, with one's answer."""
        return Response(AssignmentShown(_shown(_own(request, pk))).data)

    @extend_schema(request=answers.AnswerAsked, responses=AssignmentShown)
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, pk: UUID) -> Response:
        """Answer, or correct one's answer: the newest revision counts."""
        found = _own(request, pk)
        asked = _asked(request, answers.AnswerAsked)
        try:
            actions.submit_judgment(
                assignment=found, annotator=request.user, answer=answers.answer_of(found, asked),
                request_key=asked["request_key"], based_on=answers.basis_of(asked),
            )  # fmt: skip
        except RankingError as error:
            raise serializers.ValidationError({"ranking": [str(error)]}) from None
        except MarksError as error:
            raise serializers.ValidationError({"marks": [str(error)]}) from None
        except actions.AnswerRefused as error:
            raise Conflict(str(error)) from None
        return Response(AssignmentShown(_shown(_own(request, pk))).data)

    @extend_schema(request=SkipAsked, responses=AssignmentShown)
    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: UUID) -> Response:
        """Give it back to the others. Twice is once."""
        found = _own(request, pk)
        _do(actions.skip, assignment=found, annotator=request.user, **_asked(request, SkipAsked))
        return Response(AssignmentShown(_shown(_own(request, pk))).data)

    @extend_schema(request=DraftAsked, responses={204: None})
    @action(detail=True, methods=["put"])
    def draft(self, request: Request, pk: UUID) -> Response:
        """Keep an unfinished answer."""
        found = _own(request, pk)
        given = {name: _as_sent(value) for name, value in _asked(request, DraftAsked)["draft"].items()}
        form = answer_form(found, given, is_draft=True)
        form.full_clean()
        _do(actions.save_draft, assignment=found, annotator=request.user, draft=form.draft())
        return Response(status=204)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def renew(self, request: Request, pk: UUID) -> Response:
        """Hold it for another lease; how long one is stands in the project."""
        _do(actions.renew_lease, assignment=_own(request, pk), annotator=request.user)
        return Response(status=204)

    @extend_schema(request=FlagAsked, responses=OwnFlag)
    @action(detail=True, methods=["post"])
    def flag(self, request: Request, pk: UUID) -> Response:
        """Tell the managers what is wrong with it. While it is open, another note takes the place of the first."""
        found = _own(request, pk)
        return Response(OwnFlag(_do(actions.raise_flag, assignment=found, annotator=request.user,
                                    **_asked(request, FlagAsked))).data)  # fmt: skip

    @extend_schema(responses=FeedbackShown)
    @action(detail=True, methods=["get"], filter_backends=[])
    def feedback(self, request: Request, pk: UUID) -> Response:
        """What one answered to a training item, beside the known answer. There is none for anything else."""
        found = _own(request, pk)
        if found.purpose != AssignmentPurpose.TRAINING or found.state != AssignmentState.SUBMITTED:
            raise Http404("There is feedback on answered training items alone.")
        return Response(_feedback(found))


def claimed(project: Project, annotator: AbstractBaseUser, *, besides: UUID | None) -> dict[str, Any]:
    """For the answer to whoever asks for work in a project."""
    worked_on = None
    if besides is not None:
        worked_on = get_object_or_404(Assignment, pk=besides, annotator=annotator, comparison__project=project)
    found = actions.claim_next(project=project, annotator=annotator, besides=worked_on)
    if found is None:
        why = why_nothing(project=project, annotator=annotator)
        return {"assignment": None, "nothing": str(why)}
    found.comparison = Comparison.objects.select_related("prompt").get(pk=found.comparison_id)
    found.comparison.project = project
    return {"assignment": AssignmentShown(_shown(found)).data, "nothing": ""}


def shown_to(request: Request, found: Assignment) -> dict[str, Any]:
    """An assignment that was just made, for the answer."""
    return AssignmentShown(_shown(_own(request, found.pk))).data


def _own(request: Request, pk: UUID) -> Assignment:
    return own_assignment(request, pk)


def _asked(request: Request, serializer: type[serializers.Serializer]) -> dict[str, Any]:
    found = serializer(data=request.data)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


def _do(what: Any, **arguments: Any) -> Any:
    try:
        return what(**arguments)
    except actions.AnswerRefused as error:
        raise Conflict(str(error)) from None


def _as_sent(value: Any) -> Any:
    """As a form is sent: fields read texts that can be kept, or lists of them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, list):
        return [_as_sent(each) for each in value]
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def _kind(assignment: Assignment) -> str:
    """What the page tells too. Gold and qualification are work to whoever does them."""
    match AssignmentPurpose(assignment.purpose):
        case AssignmentPurpose.TRAINING:
            return "training"
        case AssignmentPurpose.REVIEW:
            return "review"
        case AssignmentPurpose.WORK | AssignmentPurpose.GOLD | AssignmentPurpose.QUALIFICATION:
            return "work"


def _shown(assignment: Assignment) -> dict[str, Any]:
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


def _line(line: Any) -> dict[str, Any]:
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


def _feedback(assignment: Assignment) -> dict[str, Any]:
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
