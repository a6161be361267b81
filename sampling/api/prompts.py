"""Prompt sets and prompts. Prompts come in by imports, or here, many in one request."""

from rest_framework import mixins, serializers

from sampling.models import Prompt, PromptSet, Scope
from sampling.rest.views import SiteResource


class PromptSetShown(serializers.ModelSerializer):
    train_count = serializers.IntegerField(read_only=True)
    eval_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = PromptSet
        fields = ["id", "name", "train_count", "eval_count", "created_at"]
        read_only_fields = ["created_at"]


class PromptShown(serializers.ModelSerializer):
    messages = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))
    metadata = serializers.DictField()

    class Meta:
        model = Prompt
        fields = ["id", "prompt_set", "messages", "split", "metadata", "content_hash"]


class PromptSets(mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.CreateModelMixin, SiteResource):
    """Sets of prompts, with how many there are of each split."""

    queryset = PromptSet.objects.with_counts()
    serializer_class = PromptSetShown
    filterset_fields = ["name"]
    write_scope = Scope.IMPORT

    def perform_create(self, serializer: serializers.BaseSerializer) -> None:
        serializer.save(created_by=self.request.user)


class Prompts(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Prompts. They never change: a dataset must mean the same thing for ever."""

    queryset = Prompt.objects.all()
    serializer_class = PromptShown
    filterset_fields = ["prompt_set", "split", "content_hash"]
    write_scope = Scope.IMPORT
