"""Judgments for managers, their annotators as pseudonyms, and judgments from elsewhere, many in one request."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.api import visible
from annotation.datasets.export_rows import pseudonym
from annotation.importing.in_one_request import judge_elsewhere
from annotation.models import JudgeKind, Judgment
from sampling.intake.formats import FORMATS
from sampling.json_lines import Unusable
from sampling.models import Scope
from sampling.rest import bulk
from sampling.rest.authentication import IsStaff
from sampling.rest.filtering import Id, TrueOrFalse

JUDGED = [(key, each.label) for key, each in FORMATS.items() if "judgments" in each.gives]


class JudgmentShown(serializers.ModelSerializer):
    project = serializers.IntegerField(source="comparison.project_id")
    annotator = serializers.SerializerMethodField(help_text="A pseudonym, the same in every export.")
    ranking = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text="Ids of completions, best first."
    )
    strengths = serializers.ListField(child=serializers.CharField())
    marks = serializers.DictField(child=serializers.DictField(), help_text="By completion's id.")
    source = serializers.DictField(help_text="Of an imported one: what its source says of it.")
    guidelines_version = serializers.IntegerField(source="guidelines_version.number", default=None, allow_null=True)
    is_current = serializers.BooleanField(help_text="Whether it is the newest revision.")

    class Meta:
        model = Judgment
        fields = [
            "id", "project", "comparison", "annotator", "kind", "is_decision", "ranking", "strengths", "marks",
            "all_bad", "rationale", "seconds_spent", "guidelines_version", "revision", "supersedes", "is_current",
            "data_import", "source", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_annotator(self, judgment: Judgment) -> str:
        return pseudonym(judgment.annotator_id)


class MomentField(IsoDateTimeField):
    """In UTC, and within what the database can hold: near the ends of the calendar a zone leads out of it."""

    def to_python(self, value: Any) -> datetime | None:
        try:
            moment = super().to_python(value)
            return moment and moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError(
                "It is beyond the calendar. Choose a moment from the year 1 to 9999, in UTC."
            ) from None


class Moment(filters.IsoDateTimeFilter):
    field_class = MomentField


class JudgmentFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(
        field_name="comparison__project", queryset=visible.to_filter_by(visible.managed)
    )
    comparison = Id(field_name="comparison_id")
    data_import = Id(field_name="data_import_id")
    kind = filters.ChoiceFilter(choices=JudgeKind.choices)
    is_decision = TrueOrFalse()
    is_current = TrueOrFalse()
    since = Moment(field_name="created_at", lookup_expr="gte")
    until = Moment(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Judgment
        fields: list[str] = []


class JudgmentsAsked(serializers.Serializer):
    project = visible.ManagedProject()
    prompt_set = serializers.CharField(max_length=120, help_text="By name; made where there is none.")
    format = serializers.ChoiceField(
        choices=[("", "recognised by their shape"), *JUDGED], default="", help_text="Of the rows."
    )
    rows = serializers.ListField(child=serializers.DictField(), min_length=1, max_length=bulk.MAX_ROWS)


class JudgmentsKept(bulk.BulkResult):
    data_import = serializers.IntegerField(help_text="By which they are listed, and undone as a whole.")


class Judgments(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """The judgments of the projects that one manages. None is ever changed: a correction is another revision."""

    queryset = Judgment.objects.select_related("comparison", "guidelines_version").annotate(
        is_current=~Exists(Judgment.objects.filter(supersedes=OuterRef("pk")))
    )
    serializer_class = JudgmentShown
    filterset_class = JudgmentFilters
    project_path = "comparison__project"
    scopes = {"bulk": Scope.IMPORT}

    def get_permissions(self) -> list:
        return [*super().get_permissions(), *([IsStaff()] if self.action == "bulk" else [])]

    @extend_schema(request=JudgmentsAsked, responses=JudgmentsKept)
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """Keep up to 1,000 rows of judgments that were given elsewhere, as imported ones, with a result for each.

        For staff, as other imports are. What is there already is known.
        """
        asked = self.asked(JudgmentsAsked)
        try:
            outcome = judge_elsewhere(
                project=asked["project"], prompt_set_name=asked["prompt_set"], rows=asked["rows"],
                source_format=asked["format"], created_by=request.user,
            )  # fmt: skip
        except Unusable as unusable:
            raise serializers.ValidationError({"format": [str(unusable)]}) from None
        results = []
        for index in range(len(asked["rows"])):
            if index in outcome.rejected:
                errors = {"non_field_errors": [outcome.rejected[index]]}
                results.append({"index": index, "status": "rejected", "errors": errors})
            else:
                results.append({"index": index, "status": "created" if index in outcome.new else "known"})
        counts = dict(Counter(result["status"] for result in results))
        content = {"results": results, "counts": counts, "data_import": outcome.data_import.pk}
        return Response(content, status.HTTP_200_OK)
