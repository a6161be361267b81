"""Prompt sets and prompts. Prompts come in by imports of files, or here, many in one request."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.json_lines import Unusable
from sampling.models import Prompt, PromptSet, Scope, Split
from sampling.prompt_files import GoodPrompt, messages_of, metadata_of
from sampling.rest import bulk
from sampling.rest.fields import Named
from sampling.rest.views import SiteResource

ROLES = ["system", "user", "assistant"]


class PromptSetShown(serializers.ModelSerializer):
    train_count = serializers.IntegerField(read_only=True)
    eval_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = PromptSet
        fields = ["id", "name", "train_count", "eval_count", "created_at"]
        read_only_fields = ["created_at"]


class PromptSetAsked(serializers.ModelSerializer):
    class Meta:
        model = PromptSet
        fields = ["name"]


class Turn(serializers.Serializer):
    role = serializers.ChoiceField(choices=ROLES)
    content = serializers.CharField()


class PromptShown(serializers.ModelSerializer):
    messages = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))
    metadata = serializers.DictField()

    class Meta:
        model = Prompt
        fields = ["id", "prompt_set", "messages", "split", "metadata", "content_hash", "data_import"]
        read_only_fields = fields


class PromptAsked(serializers.Serializer):
    messages = serializers.ListField(
        child=Turn(), min_length=1, help_text="A chat that ends with the user's turn; the first may be the system's."
    )
    split = serializers.ChoiceField(choices=Split.choices, default=Split.TRAIN)
    metadata = serializers.DictField(default=dict)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            given["messages"] = messages_of({"messages": [dict(turn) for turn in given["messages"]]})
            metadata_of(given)
        except Unusable as unusable:
            raise ValidationError({"messages": [str(unusable)]}) from None
        return given


class PromptsAsked(serializers.Serializer):
    prompt_set = Named(queryset=PromptSet.objects.all())
    rows = serializers.ListField(
        child=serializers.DictField(), min_length=1, max_length=bulk.MAX_ROWS, help_text="Each as PromptAsked."
    )


class PromptSets(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Sets of prompts, with how many there are of each split."""

    queryset = PromptSet.objects.with_counts()
    serializer_class = PromptSetShown
    filterset_fields = ["name"]
    write_scope = Scope.IMPORT

    @extend_schema(request=PromptSetAsked, responses={201: PromptSetShown})
    def create(self, request: Request) -> Response:
        """An empty one."""
        asked = PromptSetAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        made = self.perform_create(asked)
        return Response(self.get_serializer(self.get_queryset().get(pk=made.pk)).data, status.HTTP_201_CREATED)

    def perform_create(self, asked: PromptSetAsked) -> PromptSet:
        return asked.save(created_by=self.request.user)


class Prompts(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Prompts. They never change: a dataset must mean the same thing for ever."""

    queryset = Prompt.objects.all()
    serializer_class = PromptShown
    filterset_fields = ["prompt_set", "split", "content_hash", "data_import"]
    write_scope = Scope.IMPORT

    @extend_schema(request=PromptsAsked, responses=bulk.BulkResult)
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """Add up to 1,000 prompts, with a result for each; one that the set has already is known."""
        asked = PromptsAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        prompt_set = asked.validated_data["prompt_set"]

        def add(given: dict[str, Any]) -> tuple[str, int]:
            content_hash = GoodPrompt(0, given["messages"]).content_hash
            prompt, is_new = Prompt.objects.get_or_create(
                prompt_set=prompt_set, content_hash=content_hash, defaults=dict(given)
            )
            return ("created" if is_new else "known"), prompt.pk

        return Response(bulk.each(asked.validated_data["rows"], lambda row: PromptAsked(data=row), add))
