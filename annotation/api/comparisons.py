"""Comparisons as reviewers and managers see them, decisions, known answers, flags and skips.

Completions have the letters that are the same for everybody; which policy wrote which is told to a manager who asks.
"""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import actions
from annotation.access import may_manage
from annotation.actions import known_answers, review
from annotation.actions.qualification import waive_for_who_works
from annotation.api import visible
from annotation.api.assignments import AssignmentShown, shown_to
from annotation.datasets.export_rows import pseudonym
from annotation.models import Assignment, AssignmentState, Comparison, Flag, JudgeKind, Judgment, Purpose
from annotation.review import listing
from annotation.rules.letters import fixed_letters
from annotation.rules.protocol import MAX_COMPLETIONS
from annotation.rules.ranking import Ranking, RankingError
from annotation.task.own_answers import beginning_of
from sampling.models import Completion, Scope
from sampling.rest.fields import Named
from sampling.rest.filtering import TrueOrFalse
from sampling.rest.pages import Pages
from sampling.rest.problems import Conflict

POLICIES = OpenApiParameter("policies", bool, description="true: with which policy wrote what; for managers.")


class ComparisonShort(serializers.Serializer):
    id = serializers.IntegerField()
    project = serializers.IntegerField()
    page = serializers.CharField()
    prompt = serializers.IntegerField()
    asks = serializers.CharField(allow_blank=True, help_text="The beginning of what was asked last.")
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    group = serializers.CharField(allow_blank=True)
    priority = serializers.IntegerField()
    wanted = serializers.IntegerField(help_text="How many judgments it is to have.")
    judgments = serializers.IntegerField(help_text="Given here by annotators.")
    imported = serializers.IntegerField()
    decisions = serializers.IntegerField()
    flags = serializers.IntegerField(help_text="Open ones.")
    skips = serializers.IntegerField()
    disagreement = serializers.FloatField(help_text="0 to 1: the share of pairs on which annotators differ.")
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    data_import = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class Lettered(serializers.Serializer):
    letter = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    completion = serializers.IntegerField(allow_null=True, help_text="Its id, where policies were asked for.")
    policy = serializers.CharField(allow_null=True, allow_blank=True)


class JudgedInLetters(serializers.Serializer):
    id = serializers.IntegerField()
    annotator = serializers.CharField(help_text="A pseudonym.")
    kind = serializers.ChoiceField(choices=JudgeKind.choices)
    is_decision = serializers.BooleanField()
    ranking = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Letters, best first; A+ is the annotator's own edit of A.",
    )
    strengths = serializers.ListField(child=serializers.CharField())
    marks = serializers.DictField(child=serializers.DictField(), help_text="By letter.")
    edits = serializers.DictField(child=serializers.CharField(), help_text="By its name, such as A+.")
    all_bad = serializers.BooleanField()
    rationale = serializers.CharField(allow_blank=True)
    seconds_spent = serializers.FloatField(allow_null=True)
    revision = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class ComparisonShown(ComparisonShort):
    messages = serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_blank=True)))
    completions = Lettered(many=True)
    given = JudgedInLetters(many=True, help_text="The newest revision of each judgment.")
    known_ranking = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()), allow_null=True, help_text="Of what is not work."
    )
    explanation = serializers.CharField(allow_blank=True)


class WantedAsked(serializers.Serializer):
    wanted = serializers.IntegerField(min_value=1, max_value=review.MAX_JUDGMENTS, help_text="Judgments in all.")


class PriorityAsked(serializers.Serializer):
    priority = serializers.IntegerField(min_value=-1000, max_value=1000)


class PrioritiesAsked(PriorityAsked):
    project = visible.ManagedProject()
    comparisons = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=1000
    )


class Changed(serializers.Serializer):
    changed = serializers.IntegerField()


class ReasonAsked(serializers.Serializer):
    reason = serializers.CharField(max_length=500, help_text="Kept in the project's history.")


class KnownAnswerAsked(serializers.Serializer):
    purpose = serializers.ChoiceField(choices=[each for each in Purpose.choices if each[0] != Purpose.WORK])
    ranking = serializers.ListField(
        child=serializers.ListField(
            child=serializers.CharField(max_length=1), allow_empty=False, max_length=MAX_COMPLETIONS
        ),
        min_length=1, max_length=MAX_COMPLETIONS, help_text="Groups of the comparison's letters, best first.",
    )  # fmt: skip
    explanation = serializers.CharField(max_length=5000, allow_blank=True, default="", help_text="Markdown.")
    waive = serializers.BooleanField(
        default=True, help_text="Of a qualification item: those who work here already need not qualify."
    )


class ComparisonFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(queryset=visible.to_filter_by(visible.reviewed))
    state = filters.ChoiceFilter(choices=[(state.value, state.value) for state in listing.State
                                          if state != listing.State.DISAGREEING], method="in_state")  # fmt: skip
    text = filters.CharFilter(field_name="prompt__messages", lookup_expr="icontains", max_length=200)
    prompt = filters.NumberFilter(field_name="prompt_id", min_value=1, max_value=2**63 - 1)
    data_import = filters.NumberFilter(field_name="data_import_id", min_value=1, max_value=2**63 - 1)

    class Meta:
        model = Comparison
        fields = ["purpose", "group"]

    def in_state(self, rows: QuerySet[Comparison], name: str, value: str) -> QuerySet[Comparison]:
        return rows.filter(listing.is_in(listing.State(value)))


class Comparisons(mixins.ListModelMixin, visible.ProjectResource):
    """The comparisons of projects that one reviews or manages."""

    queryset = Comparison.objects.select_related("project", "prompt")
    serializer_class = ComparisonShort
    filterset_class = ComparisonFilters
    seen_in = staticmethod(visible.reviewed)
    scopes = {"decide": Scope.ANNOTATE}

    @extend_schema(responses=ComparisonShort(many=True))
    def list(self, request: Request) -> Response:
        """Newest first. What annotators disagree on most: `next-disagreement` of a project."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        rows = listing.rows([each.pk for each in page], JudgeKind.PERSON)
        return self.get_paginated_response(ComparisonShort([_short(row) for row in rows], many=True).data)

    @extend_schema(responses=ComparisonShown, parameters=[POLICIES])
    def retrieve(self, request: Request, pk: int) -> Response:
        """With its completions and every judgment, in letters that are the same for everybody."""
        found = self.get_object()
        with_policies = request.query_params.get("policies") == "true"
        if with_policies and not may_manage(request.user, found.project):
            raise PermissionDenied("Only a manager may see which policy wrote which completion: decisions stay blind.")
        return Response(_full(found, with_policies=with_policies))

    @extend_schema(request=None, responses=AssignmentShown)
    @action(detail=True, methods=["post"])
    def decide(self, request: Request, pk: int) -> Response:
        """Open one's decision as a reviewer: an assignment, to be submitted as any other."""
        opened = _refusable(review.open_review, comparison=self.get_object(), reviewer=request.user)
        return Response(shown_to(request, opened))

    @extend_schema(request=WantedAsked, responses=ComparisonShown)
    @action(detail=True, methods=["post"], url_path="ask-another")
    def ask_another(self, request: Request, pk: int) -> Response:
        """Let it have so many judgments in all. Fewer than it is to have already is no change."""
        _refusable(review.ask_for_judgments, comparison=self.get_object(), by=request.user, **self.asked(WantedAsked))
        return Response(_full(self.get_object()))

    @extend_schema(request=PriorityAsked, responses=ComparisonShown)
    @action(detail=True, methods=["post"])
    def priority(self, request: Request, pk: int) -> Response:
        """Let it come sooner (higher) or later."""
        found = self._managed()
        actions.set_priority(
            comparisons=Comparison.objects.filter(pk=found.pk), by=request.user, **self.asked(PriorityAsked)
        )
        return Response(_full(self.get_object()))

    @extend_schema(request=PrioritiesAsked, responses=Changed)
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def priorities(self, request: Request) -> Response:
        """The same priority for many comparisons of a project. Those that are not in it are left out."""
        asked = self.asked(PrioritiesAsked)
        chosen = Comparison.objects.filter(project=asked["project"], pk__in=asked["comparisons"])
        return Response({"changed": actions.set_priority(comparisons=chosen, priority=asked["priority"],
                                                         by=request.user)})  # fmt: skip

    @extend_schema(request=ReasonAsked, responses=ComparisonShown)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: int) -> Response:
        """Take it out of the queue and out of new snapshots. What was judged stays on record."""
        review.withdraw(comparison=self._managed(), by=request.user, **self.asked(ReasonAsked))
        return Response(_full(self.get_object()))

    @extend_schema(request=ReasonAsked, responses=ComparisonShown)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: int) -> Response:
        """Undo a withdrawal."""
        review.restore(comparison=self._managed(), by=request.user, **self.asked(ReasonAsked))
        return Response(_full(self.get_object()))

    @extend_schema(request=KnownAnswerAsked, responses=ComparisonShown)
    @action(detail=True, methods=["put"], url_path="known-answer")
    def known_answer(self, request: Request, pk: int) -> Response:
        """Make it gold, a qualification or a training item, or change the one that it is."""
        found, asked = self._managed(), self.asked(KnownAnswerAsked)
        letters = fixed_letters(found.content_key, found.completions.values_list("pk", flat=True))
        try:
            ranking = Ranking(tuple(map(tuple, asked["ranking"]))).map({name: pk for pk, name in letters.items()})
            if ranking.has_ties and not found.project.allow_ties:
                raise RankingError("This project has no ties. Give each completion a place of its own.")
            with transaction.atomic():
                _refusable(
                    known_answers.set_known_answer, comparison=found, by=request.user, ranking=ranking.groups,
                    purpose=asked["purpose"], explanation=asked["explanation"],
                )  # fmt: skip
                if asked["waive"] and asked["purpose"] == Purpose.QUALIFICATION:
                    waive_for_who_works(project=found.project, by=request.user)
        except RankingError as error:
            raise serializers.ValidationError({"ranking": [str(error)]}) from None
        return Response(_full(self.get_object()))

    @extend_schema(responses={204: None})
    @known_answer.mapping.delete
    def back_to_work(self, request: Request, pk: int) -> Response:
        """Make it work again: annotators get it, and it becomes data."""
        known_answers.turn_back_to_work(comparison=self._managed(), by=request.user)
        return Response(status=204)

    def _managed(self) -> Comparison:
        found = self.get_object()
        visible.must_manage(self.request, found.project)
        return found


class FlagShown(serializers.ModelSerializer):
    raised_by = Named("username", read_only=True)
    resolved_by = Named("username", read_only=True, allow_null=True)
    project = serializers.IntegerField(source="comparison.project_id")

    class Meta:
        model = Flag
        fields = [
            "id", "project", "comparison", "raised_by", "note", "created_at", "resolved_at", "resolved_by", "resolution",
        ]  # fmt: skip
        read_only_fields = fields


class ResolutionAsked(serializers.Serializer):
    resolution = serializers.CharField(max_length=1000, help_text="What was done, for who raised it.")


class FlagFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(
        field_name="comparison__project", queryset=visible.to_filter_by(visible.reviewed)
    )
    comparison = filters.NumberFilter(field_name="comparison_id", min_value=1, max_value=2**63 - 1)
    is_resolved = TrueOrFalse(field_name="resolved_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Flag
        fields: list[str] = []


class Flags(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """What annotators want the managers to look at."""

    queryset = Flag.objects.select_related("raised_by", "resolved_by", "comparison")
    serializer_class = FlagShown
    filterset_class = FlagFilters
    project_path = "comparison__project"
    seen_in = staticmethod(visible.reviewed)

    @extend_schema(request=ResolutionAsked, responses=FlagShown)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: int) -> Response:
        """Close it with a word to who raised it. Whoever comes second finds the first one's word."""
        flag = self.get_object()
        review.resolve_flag(flag=flag, by=request.user, **self.asked(ResolutionAsked))
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data)


class SkipShown(serializers.ModelSerializer):
    project = serializers.IntegerField(source="comparison.project_id")
    annotator = Named("username", read_only=True)

    class Meta:
        model = Assignment
        fields = ["project", "comparison", "annotator", "skip_reason", "created_at"]
        read_only_fields = fields


class SkipFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(
        field_name="comparison__project", queryset=visible.to_filter_by(visible.reviewed)
    )
    annotator = filters.CharFilter(field_name="annotator__username")

    class Meta:
        model = Assignment
        fields = ["skip_reason"]


class NewestFirst(Pages):
    ordering = "-created_at"


class Skips(mixins.ListModelMixin, visible.ProjectResource):
    """What was skipped, by whom and why."""

    queryset = Assignment.objects.filter(state=AssignmentState.SKIPPED).select_related("comparison", "annotator")
    serializer_class = SkipShown
    filterset_class = SkipFilters
    pagination_class = NewestFirst
    project_path = "comparison__project"
    seen_in = staticmethod(visible.reviewed)


def _refusable(what: Any, **arguments: Any) -> Any:
    try:
        return what(**arguments)
    except review.ReviewRefused as error:
        raise Conflict(str(error)) from None


def _short(row: listing.Row) -> dict[str, Any]:
    comparison = row.comparison
    plain = ("purpose", "group", "priority", "wanted", "withdrawn_at", "created_at")
    counted = ("judgments", "imported", "decisions", "flags", "skips")
    return {
        "id": comparison.pk,
        "project": comparison.project_id,
        "page": reverse("annotation:comparison", args=[comparison.pk]),
        "prompt": comparison.prompt_id,
        "asks": beginning_of(comparison.prompt.messages),
        "disagreement": row.disagreement.share,
        "data_import": comparison.data_import_id,
        **{name: getattr(comparison, name) for name in plain},
        **{name: getattr(row, name) for name in counted},
    }


def _full(comparison: Comparison, *, with_policies: bool = False) -> dict[str, Any]:
    (row,) = listing.rows([comparison.pk], JudgeKind.PERSON)
    completions = list(comparison.completions.select_related("model_version"))
    letters = fixed_letters(comparison.content_key, (each.pk for each in completions))
    is_work = comparison.purpose == Purpose.WORK
    return ComparisonShown(
        {
            **_short(row),
            "messages": comparison.prompt.messages,
            "completions": [
                {
                    "letter": letters[each.pk],
                    "text": each.text,
                    "completion": each.pk if with_policies else None,
                    "policy": str(each.model_version or each.written_by_model) if with_policies else None,
                }
                for each in sorted(completions, key=lambda each: letters[each.pk])
            ],
            "given": _given(comparison, letters),
            "known_ranking": None if is_work else _named(comparison.known_ranking, letters),
            "explanation": "" if is_work else row.comparison.explanation,
        }
    ).data


def _given(comparison: Comparison, letters: dict[int, str]) -> list[dict[str, Any]]:
    judgments = list(Judgment.objects.current().filter(comparison=comparison).order_by("pk"))
    placed = {pk for judgment in judgments for group in judgment.ranking for pk in group}
    edits = {edit.pk: edit for edit in Completion.objects.filter(pk__in=placed - letters.keys())}
    return [_judged(judgment, letters, edits) for judgment in judgments]


def _judged(judgment: Judgment, letters: dict[int, str], edits: dict[int, Completion]) -> dict[str, Any]:
    placed = {pk for group in judgment.ranking for pk in group}
    own = {pk: f"{letters.get(edit.edit_of_id, '?')}+" for pk, edit in edits.items() if pk in placed}
    plain = ("id", "kind", "is_decision", "strengths", "all_bad", "rationale", "seconds_spent", "revision", "created_at")
    return {
        **{name: getattr(judgment, name) for name in plain},
        "annotator": pseudonym(judgment.annotator_id),
        "ranking": _named(judgment.ranking, letters | own),
        "marks": {letters[int(pk)]: mark for pk, mark in judgment.marks.items() if int(pk) in letters},
        "edits": {name: edits[pk].text for pk, name in own.items()},
    }


def _named(groups: list[list[int]], names: dict[int, str]) -> list[list[str]]:
    return [sorted(names.get(pk, "?") for pk in group) for group in groups]
