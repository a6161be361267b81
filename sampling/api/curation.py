"""Saved filters, and filters over a prompt set."""

from django.core.exceptions import ValidationError
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.curation import actions
from sampling.curation.steps import MOST_STEPS
from sampling.lifecycle import StaleState
from sampling.models import Curation, FilterSet, PromptSet, Scope
from sampling.rest.fields import Named
from sampling.rest.problems import Conflict
from sampling.rest.views import SiteResource

LONGEST_NAME = 120


def _steps(**more) -> serializers.ListField:
    words = 'Filters in their order: {"filter": key, ...what differs from the usual}.'
    return serializers.ListField(child=serializers.DictField(), max_length=MOST_STEPS, help_text=words, **more)


class FilterSetShown(serializers.ModelSerializer):
    steps = serializers.ListField(child=serializers.DictField())
    created_by = Named("username", read_only=True, allow_null=True)

    class Meta:
        model = FilterSet
        fields = ["id", "name", "steps", "created_at", "created_by"]
        read_only_fields = fields


class FilterSetAsked(serializers.Serializer):
    name = serializers.CharField(max_length=LONGEST_NAME)
    steps = _steps(min_length=1)


class FilterSets(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Filters under a name, to be run again: on another import, or on a prompt set that is there."""

    queryset = FilterSet.objects.select_related("created_by")
    serializer_class = FilterSetShown
    filterset_fields = ["name"]
    write_scope = Scope.IMPORT

    @extend_schema(request=FilterSetAsked, responses={201: FilterSetShown})
    def create(self, request: Request) -> Response:
        """Save filters under a new name."""
        return self._save(request, None, status.HTTP_201_CREATED)

    @extend_schema(request=FilterSetAsked, responses=FilterSetShown)
    def update(self, request: Request, pk: int) -> Response:
        """Save over it. What ran with it before keeps the filters that it ran with."""
        return self._save(request, self.get_object(), status.HTTP_200_OK)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        actions.delete_filter_set(filter_set=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _save(self, request: Request, filter_set: FilterSet | None, code: int) -> Response:
        asked = FilterSetAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        saved = actions.save_filter_set(filter_set=filter_set, created_by=request.user, **asked.validated_data)
        return Response(self.get_serializer(saved).data, code)


class CurationShown(serializers.ModelSerializer):
    prompt_set = Named(source="of", read_only=True)
    made = Named(read_only=True, allow_null=True)
    steps = serializers.ListField(child=serializers.DictField())
    report = serializers.DictField(help_text="What each filter removes, once they ran.")
    page = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Curation
        fields = [
            "id", "prompt_set", "steps", "seed", "new_name", "made", "report", "page", "state", "phase", "done",
            "total", "failure", "request_key", "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class CurationAsked(serializers.Serializer):
    prompt_set = Named(queryset=PromptSet.objects.all())
    steps = _steps(min_length=1)
    new_name = serializers.CharField(
        max_length=LONGEST_NAME, default="", allow_blank=True, help_text="Of the set to be kept; empty: only look."
    )
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=17)
    request_key = serializers.UUIDField(required=False, help_text="The same key again gives the run that is there.")


class KeepAsked(serializers.Serializer):
    new_name = serializers.CharField(max_length=LONGEST_NAME)


class Curations(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Filters run over a prompt set: looked through first, then kept as another set."""

    queryset = Curation.objects.select_related("of", "made")
    serializer_class = CurationShown
    filterset_fields = ["of", "state"]
    write_scope = Scope.IMPORT

    @extend_schema(request=CurationAsked, responses={202: CurationShown})
    def create(self, request: Request) -> Response:
        """Queue filters: to see what they remove, or with a new name to keep what they leave."""
        asked = CurationAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        made = actions.create_curation(created_by=request.user, **asked.validated_data)
        headers = {"Location": reverse("sampling-api:curation-detail", args=[made.pk])}
        return Response(self.get_serializer(made).data, status.HTTP_202_ACCEPTED, headers=headers)

    @extend_schema(request=KeepAsked, responses={202: CurationShown})
    @action(detail=True, methods=["post"])
    def keep(self, request: Request, pk: int) -> Response:
        """Keep what the filters leave as a new set."""
        found = self.get_object()
        asked = KeepAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            kept = actions.keep(curation=found, **asked.validated_data)
        except StaleState:
            raise Conflict(
                "The set is not looked through yet. Wait for it, or try it again, and keep it then."
            ) from None
        except ValidationError as error:
            raise serializers.ValidationError({"new_name": error.messages}) from None
        return Response(self.get_serializer(kept).data, status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=CurationShown)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Ask for an end. What is kept already stays."""
        return Response(self.get_serializer(actions.cancel(curation=self.get_object())).data)

    @extend_schema(request=None, responses=CurationShown)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Queue again what failed or was cancelled."""
        try:
            return Response(self.get_serializer(actions.retry(curation=self.get_object())).data)
        except StaleState:
            raise Conflict("Only what failed or was cancelled can be tried again; this has moved on.") from None
