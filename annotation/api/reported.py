"""What annotators report: the flags that they raise, and why they skip. For reviewers and managers."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.actions import review
from annotation.api import visible
from annotation.api.assignments import NewestFirst
from annotation.models import Assignment, AssignmentState, Flag
from sampling.rest.fields import Named
from sampling.rest.filtering import Id, TrueOrFalse


class FlagShown(serializers.ModelSerializer):
    raised_by = Named("username", read_only=True)
    resolved_by = Named("username", read_only=True, allow_null=True)
    project = serializers.IntegerField(source="comparison.project_id")

    class Meta:
        model = Flag
        fields = [
            "id", "project", "comparison", "raised_by", "note", "created_at", "resolved_at", "resolved_by",
            "resolution",
        ]  # fmt: skip
        read_only_fields = fields


class ResolutionAsked(serializers.Serializer):
    resolution = serializers.CharField(max_length=1000, help_text="What was done, for who raised it.")


class FlagFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(
        field_name="comparison__project", queryset=visible.to_filter_by(visible.reviewed)
    )
    comparison = Id(field_name="comparison_id")
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


class Skips(mixins.ListModelMixin, visible.ProjectResource):
    """What was skipped, by whom and why."""

    queryset = Assignment.objects.filter(state=AssignmentState.SKIPPED).select_related("comparison", "annotator")
    serializer_class = SkipShown
    filterset_class = SkipFilters
    pagination_class = NewestFirst
    project_path = "comparison__project"
    seen_in = staticmethod(visible.reviewed)
