"""Snapshots and their freezing."""

from dataclasses import asdict
from typing import Any

from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.actions import freezes
from annotation.api import visible
from annotation.datasets import hashing
from annotation.datasets.choice import Choice, SnapshotRefused
from annotation.datasets.chosen import why_nothing
from annotation.datasets.preview import preview_of
from annotation.datasets.reading import CompletionLost
from annotation.datasets.withdrawn import withdrawn_in
from annotation.models import DatasetSnapshot, JudgeKind, SnapshotFreeze
from annotation.rules.aggregation import LEVELS, Aggregation, OneRowPer
from annotation.rules.ranking import Strength
from sampling.long_tasks import TaskState
from sampling.models import Scope
from sampling.rest.fields import Named
from sampling.rest.problems import Conflict

VERIFIED_AT_ONCE = 50_000  # judgments: seconds; an export checks the hash of any number in a worker


class ChoiceAsked(serializers.Serializer):
    """Which judgments, and which of their pairs."""

    project = visible.ManagedProject(help_text="Where the snapshot is kept and who manages it.")
    projects = visible.ManagedProject(many=True, required=False, help_text="Whose judgments; left out: its own.")
    kinds = serializers.MultipleChoiceField(choices=JudgeKind.choices, allow_empty=False, help_text="Whose judgments.")
    since = serializers.DateField(default=None, allow_null=True, help_text="Days in UTC, both included.")
    until = serializers.DateField(default=None, allow_null=True)
    reviewed_only = serializers.BooleanField(default=False, help_text="Only comparisons that a reviewer decided.")
    agreement_threshold = serializers.FloatField(min_value=0.5, max_value=1, default=0.5)
    min_strength = serializers.ChoiceField(choices=[str(level) for level in LEVELS], default=str(LEVELS[0]))
    one_row_per = serializers.ChoiceField(choices=[each.value for each in OneRowPer], default=OneRowPer.JUDGMENT.value)
    aggregation = serializers.ChoiceField(
        choices=[each.value for each in Aggregation], default=Aggregation.MAJORITY.value
    )

    def validate_agreement_threshold(self, value: float) -> float:
        if value != value:
            raise serializers.ValidationError("A number from 0.5 to 1.")
        return value

    def choice(self) -> Choice:
        given = dict(self.validated_data)
        projects = given.get("projects") or [given["project"]]
        return Choice(
            name=given.get("name", "preview"),
            project_ids=tuple(project.pk for project in projects),
            kinds=tuple(given["kinds"]),
            min_strength=Strength(given["min_strength"]),
            one_row_per=OneRowPer(given["one_row_per"]),
            aggregation=Aggregation(given["aggregation"]),
            **{name: given[name] for name in ("since", "until", "reviewed_only", "agreement_threshold")},
        )


class FreezeAsked(ChoiceAsked):
    name = serializers.SlugField(max_length=DatasetSnapshot._meta.get_field("name").max_length)
    request_key = serializers.UUIDField(required=False, help_text="The same key again gives what is there.")


class SnapshotShown(serializers.ModelSerializer):
    projects = serializers.SerializerMethodField(help_text="Whose judgments it holds.")
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=JudgeKind.choices))
    counts = serializers.DictField()
    page = serializers.CharField(source="get_absolute_url")
    has_withdrawn = serializers.BooleanField(help_text="Somebody whose judgments it holds has withdrawn their work.")
    created_by = Named("username", read_only=True, allow_null=True)

    class Meta:
        model = DatasetSnapshot
        fields = [
            "id", "project", "projects", "name", "page", "kinds", "content_hash", "hash_scheme", "counts",
            "has_withdrawn", "request_key", "created_at", "created_by",
        ]  # fmt: skip
        read_only_fields = fields

    def get_projects(self, snapshot: DatasetSnapshot) -> list[int]:
        return sorted(project.pk for project in snapshot.projects.all()) or [snapshot.project_id]


class SnapshotFull(SnapshotShown):
    choice = serializers.DictField(allow_null=True, help_text="What it was frozen by.")
    guidelines = serializers.ListField(help_text="[project, version, SHA-256] of those in force.")
    withdrawn_annotators = serializers.IntegerField()
    withdrawn_judgments = serializers.IntegerField()

    class Meta(SnapshotShown.Meta):
        fields = [*SnapshotShown.Meta.fields, "choice", "guidelines", "withdrawn_annotators", "withdrawn_judgments"]
        read_only_fields = fields


class FreezeShown(serializers.ModelSerializer):
    asked = serializers.DictField()
    page = serializers.CharField(source="get_absolute_url")
    address = serializers.SerializerMethodField(help_text="Where to ask how far it is.")

    class Meta:
        model = SnapshotFreeze
        fields = [
            "id", "project", "name", "page", "address", "asked", "snapshot", "state", "phase", "done", "total",
            "failure", "request_key", "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_address(self, freeze: SnapshotFreeze) -> str:
        return reverse("annotation-api:freeze-detail", args=[freeze.pk])


class FoundNow(serializers.Serializer):
    judgments = serializers.IntegerField()
    comparisons = serializers.IntegerField()
    annotators = serializers.IntegerField()
    comparisons_train = serializers.IntegerField()
    comparisons_eval = serializers.IntegerField()
    decisions = serializers.IntegerField()
    prompts_train = serializers.IntegerField()
    prompts_eval = serializers.IntegerField()


class PairsNow(serializers.Serializer):
    train = serializers.IntegerField()
    eval = serializers.IntegerField()
    ties = serializers.IntegerField()
    conflicts = serializers.IntegerField()
    unsafe = serializers.IntegerField()
    disputed = serializers.IntegerField()
    weak = serializers.IntegerField()


class PreviewShown(serializers.Serializer):
    found = FoundNow()
    pairs = PairsNow(help_text="Kept ones by split, dropped ones by the reason.")
    sampled = serializers.IntegerField(help_text="Comparisons that pairs are estimated from; 0: all were counted.")
    left_out = serializers.DictField(child=serializers.IntegerField())
    nothing = serializers.CharField(allow_blank=True, help_text="Why there is nothing to freeze, where there is not.")


class Verified(serializers.Serializer):
    is_unchanged = serializers.BooleanField()
    content_hash = serializers.CharField()
    problem = serializers.CharField(allow_blank=True)


class SnapshotFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(queryset=visible.to_filter_by(visible.managed))

    class Meta:
        model = DatasetSnapshot
        fields = ["name", "content_hash"]


class Snapshots(mixins.ListModelMixin, visible.ProjectResource):
    """Frozen datasets of the projects that one manages. A snapshot means the same thing for ever."""

    queryset = (
        DatasetSnapshot.objects.with_withdrawn().defer("settings").select_related("created_by")
        .prefetch_related("projects")
    )  # fmt: skip
    serializer_class = SnapshotShown
    filterset_class = SnapshotFilters
    write_scope = Scope.EXPORT

    @extend_schema(responses=SnapshotFull)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One snapshot, with what it was frozen by."""
        return Response(_full(self.get_object()))

    @extend_schema(request=FreezeAsked, responses={201: SnapshotFull, 202: FreezeShown})
    def create(self, request: Request) -> Response:
        """Freeze what the choice means now: at once where it is small (201), else by a worker (202, see Location)."""
        asked = _checked(self, FreezeAsked)
        try:
            made = freezes.request_freeze(
                choice=asked.choice(), project=asked.validated_data["project"], created_by=request.user,
                request_key=asked.validated_data.get("request_key"),
            )  # fmt: skip
        except SnapshotRefused as refusal:
            raise serializers.ValidationError({refusal.field: [str(refusal)]}) from None
        if isinstance(made, SnapshotFreeze):
            content = FreezeShown(made).data
            return Response(content, status.HTTP_202_ACCEPTED, headers={"Location": content["address"]})
        headers = {"Location": reverse("annotation-api:snapshot-detail", args=[made.pk])}
        return Response(_full(self.get_queryset().get(pk=made.pk)), status.HTTP_201_CREATED, headers=headers)

    @extend_schema(request=ChoiceAsked, responses=PreviewShown)
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def preview(self, request: Request) -> Response:
        """The counts of what would be frozen now."""
        try:
            choice = _checked(self, ChoiceAsked).choice().checked()
        except SnapshotRefused as refusal:
            raise serializers.ValidationError({refusal.field: [str(refusal)]}) from None
        preview = preview_of(choice)
        content = asdict(preview) | {"nothing": "" if preview.found.judgments else why_nothing(choice)}
        return Response(PreviewShown(content).data)

    @extend_schema(request=None, responses=Verified)
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: int) -> Response:
        """Compute its hash anew from what is in the tables. Of a large one, an export does that."""
        snapshot = self.get_object()
        if snapshot.counts.get("judgments", 0) > VERIFIED_AT_ONCE:
            raise Conflict(
                f"It has more than {VERIFIED_AT_ONCE:,} judgments. Ask for an export: that checks all of it as well."
            )
        problem = ""
        try:
            for _ in hashing.verified_comparisons(snapshot):
                pass
        except (hashing.SnapshotChanged, CompletionLost) as found:
            problem = str(found)
        content = {"is_unchanged": not problem, "content_hash": snapshot.content_hash, "problem": problem}
        return Response(content)


class FreezeFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(queryset=visible.to_filter_by(visible.managed))
    state = filters.ChoiceFilter(choices=TaskState.choices)

    class Meta:
        model = SnapshotFreeze
        fields: list[str] = []


class Freezes(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """Snapshots in the making."""

    queryset = SnapshotFreeze.objects.all()
    serializer_class = FreezeShown
    filterset_class = FreezeFilters
    write_scope = Scope.EXPORT

    @extend_schema(request=None, responses=FreezeShown)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Ask for its end. Nothing is left of it."""
        return Response(self.get_serializer(freezes.cancel_freeze(task=self.get_object())).data)

    @extend_schema(request=None, responses=FreezeShown)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Queue a failed or cancelled one again: it freezes what there is then."""
        try:
            queued = freezes.retry_freeze(task=self.get_object(), by=request.user)
        except SnapshotRefused as refusal:
            raise Conflict(str(refusal)) from None
        return Response(self.get_serializer(queued).data)


def _checked(view: Snapshots, serializer: type[ChoiceAsked]) -> Any:
    asked = serializer(data=view.request.data, context=view.get_serializer_context())
    asked.is_valid(raise_exception=True)
    return asked


def _full(snapshot: DatasetSnapshot) -> dict[str, Any]:
    withdrawn = withdrawn_in(snapshot)
    snapshot.choice = snapshot.settings.get("choice")
    snapshot.guidelines = snapshot.settings.get("guidelines", [])
    snapshot.withdrawn_annotators, snapshot.withdrawn_judgments = withdrawn.annotators, withdrawn.judgments
    return SnapshotFull(snapshot).data
