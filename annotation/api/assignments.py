"""An annotator's own work: take a comparison, see it blind, answer it, skip it, flag it, correct it.

As on the page, completions are known by the letters of this assignment alone, and nothing tells gold or qualification
from work: no comparison's id, no purpose, no end of a lease.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
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
from annotation.api import answers, showing, visible
from annotation.models import Assignment, AssignmentPurpose, AssignmentState, Comparison, Project
from annotation.queue.next_slot import NothingLeft, why_nothing
from annotation.rules.marks import MarksError
from annotation.rules.ranking import RankingError
from annotation.task.own_answers import ANSWERED, Show, as_lines, only
from annotation.task.page import answer_form
from sampling.models import Scope
from sampling.rest.pages import Pages
from sampling.rest.problems import Conflict
from sampling.rest.views import Resource

SKIP_CHARACTERS = 200


class ClaimAsked(serializers.Serializer):
    besides = serializers.UUIDField(
        default=None, allow_null=True, help_text="The one that is being worked on, where the one after it is asked for."
    )


class Claimed(serializers.Serializer):
    assignment = showing.AssignmentShown(allow_null=True)
    nothing = serializers.ChoiceField(
        choices=[("", "there is one"), *((each.value, each.value) for each in NothingLeft)],
        help_text="Why there is none.",
    )


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


class AssignmentFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(field_name="comparison__project", queryset=visible.to_filter_by())
    show = filters.ChoiceFilter(choices=[(each.value, each.label) for each in Show if each.value], method="narrowed")

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
    serializer_class = showing.OwnAnswerShown
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

    @extend_schema(responses=showing.OwnAnswerShown(many=True))
    def list(self, request: Request) -> Response:
        """What one has judged and skipped, the newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response([showing.line(each) for each in as_lines(page, request.user)])

    @extend_schema(responses=showing.AssignmentShown)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        """The comparison as it is shown to oneself, with one's answer."""
        return Response(showing.AssignmentShown(showing.shown(_own(request, pk))).data)

    @extend_schema(request=answers.AnswerAsked, responses=showing.AssignmentShown)
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
        return Response(showing.AssignmentShown(showing.shown(_own(request, pk))).data)

    @extend_schema(request=SkipAsked, responses=showing.AssignmentShown)
    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: UUID) -> Response:
        """Give it back to the others. Twice is once."""
        found = _own(request, pk)
        _do(actions.skip, assignment=found, annotator=request.user, **_asked(request, SkipAsked))
        return Response(showing.AssignmentShown(showing.shown(_own(request, pk))).data)

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

    @extend_schema(responses=showing.FeedbackShown)
    @action(detail=True, methods=["get"], filter_backends=[])
    def feedback(self, request: Request, pk: UUID) -> Response:
        """What one answered to a training item, beside the known answer. There is none for anything else."""
        found = _own(request, pk)
        if found.purpose != AssignmentPurpose.TRAINING or found.state != AssignmentState.SUBMITTED:
            raise Http404("There is feedback on answered training items alone.")
        return Response(showing.feedback(found))


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
    return {"assignment": showing.AssignmentShown(showing.shown(found)).data, "nothing": ""}


def shown_to(request: Request, found: Assignment) -> dict[str, Any]:
    """An assignment that was just made, for the answer."""
    return showing.AssignmentShown(showing.shown(_own(request, found.pk))).data


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
