"""Guidelines and their versions, and the record of a project's changes."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import actions
from annotation.api import visible
from annotation.models import GuidelinesVersion, ProjectChange
from sampling.models import Scope
from sampling.rest.fields import Named
from sampling.rest.filtering import Id

LONGEST_GUIDELINES = 200_000


class GuidelinesShown(serializers.ModelSerializer):
    created_by = Named("username", read_only=True, allow_null=True)

    class Meta:
        model = GuidelinesVersion
        fields = ["id", "project", "number", "text", "created_at", "created_by"]
        read_only_fields = fields


class GuidelinesAsked(serializers.Serializer):
    project = visible.ManagedProject()
    text = serializers.CharField(
        max_length=LONGEST_GUIDELINES, allow_blank=True, trim_whitespace=False, help_text="Markdown."
    )


class ReadMarked(serializers.Serializer):
    is_new = serializers.BooleanField(help_text="Whether it is newer than what you had read.")


class GuidelinesFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(queryset=visible.to_filter_by())
    number = Id()

    class Meta:
        model = GuidelinesVersion
        fields: list[str] = []


class Guidelines(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """The versions of projects' guidelines. One is never edited: a change is another version."""

    queryset = GuidelinesVersion.objects.select_related("created_by")
    serializer_class = GuidelinesShown
    filterset_class = GuidelinesFilters
    seen_in = staticmethod(visible.projects)
    scopes = {"read": Scope.ANNOTATE}

    @extend_schema(request=GuidelinesAsked, responses={201: GuidelinesShown})
    def create(self, request: Request) -> Response:
        """Put a new version into force. The text that is in force already stays the version that it is."""
        asked = self.asked(GuidelinesAsked)
        version = actions.publish_guidelines(by=request.user, **asked)
        if version is None:
            raise serializers.ValidationError({"text": ["There are no guidelines yet. Write some."]})
        return Response(self.get_serializer(version).data, status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=ReadMarked)
    @action(detail=True, methods=["post"])
    def read(self, request: Request, pk: int) -> Response:
        """Say that you have read this version."""
        version = self.get_object()
        is_new = actions.mark_guidelines_read(project=version.project, user=request.user, version=version)
        return Response({"is_new": is_new})


class ChangeShown(serializers.ModelSerializer):
    who = Named("username", read_only=True, allow_null=True)
    before = serializers.JSONField()
    after = serializers.JSONField()

    class Meta:
        model = ProjectChange
        fields = ["id", "project", "at", "who", "what", "subject", "before", "after"]
        read_only_fields = fields


class ChangeFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(queryset=visible.to_filter_by(visible.managed))

    class Meta:
        model = ProjectChange
        fields = ["what"]


class Changes(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """Every change of the projects that one manages: who, when, from what to what."""

    queryset = ProjectChange.objects.select_related("who")
    serializer_class = ChangeShown
    filterset_class = ChangeFilters
