"""Sampling runs and the completions that came of them."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from sampling import actions
from sampling.actions import NothingToSample
from sampling.models import MAX_TEMPERATURE, Completion, ModelVersion, PromptSet, SamplingRun, Scope, Split
from sampling.rest.fields import Named
from sampling.rest.views import SiteResource

BOTH_OR_ONE = [("", "both"), *Split.choices]
BIGGEST = 2**31 - 1  # of PostgreSQL's integers


class SamplingRunShown(serializers.ModelSerializer):
    policies = Named(many=True, read_only=True)
    split = serializers.ChoiceField(choices=BOTH_OR_ONE, read_only=True)
    skipped = serializers.ListField(child=serializers.DictField(), help_text="Prompts left out, and why.")

    class Meta:
        model = SamplingRun
        fields = [
            "id", "name", "prompt_set", "split", "prompt_limit", "policies", "n", "temperature", "top_p", "max_tokens",
            "seed", "state", "phase", "done", "total", "failure", "tokens_per_second", "skipped", "request_key",
            "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class SamplingRunAsked(serializers.Serializer):
    prompt_set = Named(queryset=PromptSet.objects.all())
    policies = Named(queryset=ModelVersion.objects.published(), many=True, allow_empty=False)
    split = serializers.ChoiceField(choices=BOTH_OR_ONE, default="")
    prompt_limit = serializers.IntegerField(min_value=1, max_value=BIGGEST, default=None, allow_null=True)
    n = serializers.IntegerField(min_value=1, max_value=64, default=4)
    temperature = serializers.FloatField(min_value=0.0, max_value=MAX_TEMPERATURE, default=1.0)
    top_p = serializers.FloatField(min_value=0.01, max_value=1.0, default=1.0)
    max_tokens = serializers.IntegerField(min_value=1, max_value=32768, default=256)
    seed = serializers.IntegerField(min_value=0, max_value=BIGGEST, default=17)
    name = serializers.CharField(max_length=120, default="", allow_blank=True)
    request_key = serializers.UUIDField(required=False, help_text="The same key again gives the run that is there.")


class CompletionShown(serializers.ModelSerializer):
    model_version = Named(read_only=True, allow_null=True)

    class Meta:
        model = Completion
        fields = [
            "id", "origin", "run", "prompt", "model_version", "written_by_model", "edit_of", "index", "text", "tokens",
            "finish_reason", "data_import", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class SamplingRuns(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """n completions per prompt of a set, from each of these policies."""

    queryset = SamplingRun.objects.prefetch_related("policies")
    serializer_class = SamplingRunShown
    filterset_fields = ["prompt_set", "state"]
    write_scope = Scope.TRAIN

    @extend_schema(request=SamplingRunAsked, responses={201: SamplingRunShown})
    def create(self, request: Request) -> Response:
        """Queue a run for the workers."""
        asked = SamplingRunAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            run = actions.create_sampling_run(created_by=request.user, **asked.validated_data)
        except NothingToSample as error:
            raise ValidationError({"prompt_set": [str(error)]}) from None
        return Response(self.get_serializer(run).data, status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=SamplingRunShown)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Ask for its end. What is sampled already is kept."""
        return Response(self.get_serializer(actions.cancel(run=self.get_object())).data)

    @extend_schema(request=None, responses=SamplingRunShown)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Queue a failed or cancelled one again; it goes on where it stopped."""
        return Response(self.get_serializer(actions.retry(run=self.get_object())).data)


class Completions(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """What models wrote, people's edits, and what was imported. They never change."""

    queryset = Completion.objects.select_related("model_version")
    serializer_class = CompletionShown
    filterset_fields = ["prompt", "run", "model_version", "origin", "data_import"]
    write_scope = Scope.IMPORT
