"""Comparisons as reviewers and managers see them, decisions and known answers.

Completions have the letters that are the same for everybody; which policy wrote which is told to a manager who asks.
"""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import actions
from annotation.access import may_manage
from annotation.actions import known_answers, review
from annotation.actions.qualification import waive_for_who_works
from annotation.api import lettered, visible
from annotation.api.assignments import shown_to
from annotation.api.showing import AssignmentShown
from annotation.models import Comparison, JudgeKind, Purpose
from annotation.review import listing
from annotation.rules.letters import fixed_letters
from annotation.rules.protocol import MAX_COMPLETIONS
from annotation.rules.ranking import Ranking, RankingError
from sampling.models import Scope
from sampling.rest.filtering import Id
from sampling.rest.problems import Conflict

KNOWN_PURPOSES = [each for each in Purpose.choices if each[0] != Purpose.WORK]


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
    purpose = serializers.ChoiceField(choices=KNOWN_PURPOSES)
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
    prompt = Id(field_name="prompt_id")
    data_import = Id(field_name="data_import_id")

    class Meta:
        model = Comparison
        fields = ["purpose", "group"]

    def in_state(self, rows: QuerySet[Comparison], name: str, value: str) -> QuerySet[Comparison]:
        return rows.filter(listing.is_in(listing.State(value)))


class Comparisons(mixins.ListModelMixin, visible.ProjectResource):
    """The comparisons of projects that one reviews or manages."""

    queryset = Comparison.objects.select_related("project", "prompt")
    serializer_class = lettered.ComparisonShort
    filterset_class = ComparisonFilters
    seen_in = staticmethod(visible.reviewed)
    scopes = {"decide": Scope.ANNOTATE}

    @extend_schema(responses=lettered.ComparisonShort(many=True))
    def list(self, request: Request) -> Response:
        """Newest first. What annotators disagree on most: `next-disagreement` of a project."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        rows = listing.rows([each.pk for each in page], JudgeKind.PERSON)
        return self.get_paginated_response(
            lettered.ComparisonShort([lettered.short(row) for row in rows], many=True).data
        )

    @extend_schema(responses=lettered.ComparisonShown)
    def retrieve(self, request: Request, pk: int) -> Response:
        """With its completions and every judgment, in letters that are the same for everybody."""
        return Response(lettered.full(self.get_object()))

    @extend_schema(responses=lettered.ComparisonShown)
    @action(detail=True, methods=["get"], filter_backends=[])
    def policies(self, request: Request, pk: int) -> Response:
        """The same with which policy wrote what, for managers who ask."""
        found = self.get_object()
        if not may_manage(request.user, found.project):
            raise PermissionDenied("Only a manager may see which policy wrote which completion: decisions stay blind.")
        return Response(lettered.full(found, with_policies=True))

    @extend_schema(request=None, responses=AssignmentShown)
    @action(detail=True, methods=["post"])
    def decide(self, request: Request, pk: int) -> Response:
        """Open one's decision as a reviewer: an assignment, to be submitted as any other."""
        opened = _refusable(review.open_review, comparison=self.get_object(), reviewer=request.user)
        return Response(shown_to(request, opened))

    @extend_schema(request=WantedAsked, responses=lettered.ComparisonShown)
    @action(detail=True, methods=["post"], url_path="ask-another")
    def ask_another(self, request: Request, pk: int) -> Response:
        """Let it have so many judgments in all. Fewer than it is to have already is no change."""
        _refusable(review.ask_for_judgments, comparison=self.get_object(), by=request.user, **self.asked(WantedAsked))
        return Response(lettered.full(self.get_object()))

    @extend_schema(request=PriorityAsked, responses=lettered.ComparisonShown)
    @action(detail=True, methods=["post"])
    def priority(self, request: Request, pk: int) -> Response:
        """Let it come sooner (higher) or later."""
        found = self._managed()
        actions.set_priority(
            comparisons=Comparison.objects.filter(pk=found.pk), by=request.user, **self.asked(PriorityAsked)
        )
        return Response(lettered.full(self.get_object()))

    @extend_schema(request=PrioritiesAsked, responses=Changed)
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def priorities(self, request: Request) -> Response:
        """The same priority for many comparisons of a project. Those that are not in it are left out."""
        asked = self.asked(PrioritiesAsked)
        chosen = Comparison.objects.filter(project=asked["project"], pk__in=asked["comparisons"])
        return Response({"changed": actions.set_priority(comparisons=chosen, priority=asked["priority"],
                                                         by=request.user)})  # fmt: skip

    @extend_schema(request=ReasonAsked, responses=lettered.ComparisonShown)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: int) -> Response:
        """Take it out of the queue and out of new snapshots. What was judged stays on record."""
        review.withdraw(comparison=self._managed(), by=request.user, **self.asked(ReasonAsked))
        return Response(lettered.full(self.get_object()))

    @extend_schema(request=ReasonAsked, responses=lettered.ComparisonShown)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: int) -> Response:
        """Undo a withdrawal."""
        review.restore(comparison=self._managed(), by=request.user, **self.asked(ReasonAsked))
        return Response(lettered.full(self.get_object()))

    @extend_schema(request=KnownAnswerAsked, responses=lettered.ComparisonShown)
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
        return Response(lettered.full(self.get_object()))

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


def _refusable(what: Any, **arguments: Any) -> Any:
    try:
        return what(**arguments)
    except review.ReviewRefused as error:
        raise Conflict(str(error)) from None
