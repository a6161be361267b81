"""Model versions."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from sampling import actions
from sampling.checkpoints import ModelNotUsable
from sampling.models import ModelRole, ModelVersion, Scope
from sampling.rest.fields import Named
from sampling.rest.filtering import TrueOrFalse
from sampling.rest.views import SiteResource


class ModelVersionShown(serializers.ModelSerializer):
    parent = Named(read_only=True, allow_null=True)
    completion_count = serializers.IntegerField(read_only=True, help_text="The candidates that it wrote.")

    class Meta:
        model = ModelVersion
        fields = [
            "id", "name", "role", "parent", "location", "content_hash", "published_at", "notes", "completion_count",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class ModelVersionAsked(serializers.Serializer):
    name = serializers.CharField(max_length=120)
    location = serializers.CharField(max_length=500, help_text="A directory on the workers' machines, or a hub id.")
    role = serializers.ChoiceField(choices=ModelRole.choices, default=ModelRole.POLICY)
    parent = Named(queryset=ModelVersion.objects.all(), default=None, allow_null=True)
    publish = serializers.BooleanField(default=True, help_text="A published policy may write candidates.")
    notes = serializers.CharField(default="", allow_blank=True)


class ModelVersionFilters(filters.FilterSet):
    is_published = TrueOrFalse(field_name="published_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = ModelVersion
        fields = ["name", "role"]


class ModelVersions(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Checkpoints: registered ones and those that rounds made. A version never changes."""

    queryset = ModelVersion.objects.select_related("parent")
    serializer_class = ModelVersionShown
    filterset_class = ModelVersionFilters
    write_scope = Scope.TRAIN

    def get_queryset(self) -> QuerySet[ModelVersion]:
        return super().get_queryset().with_completion_count()

    @extend_schema(request=ModelVersionAsked, responses={201: ModelVersionShown})
    def create(self, request: Request) -> Response:
        """Register a checkpoint. The same name, place and weights again is the same version."""
        asked = ModelVersionAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            version = actions.register_model(**asked.validated_data)
        except ModelNotUsable as error:
            raise ValidationError({"location": [str(error)]}) from None
        return Response(self.get_serializer(self.get_queryset().get(pk=version.pk)).data, status.HTTP_201_CREATED)
