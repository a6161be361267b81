"""Exports of snapshots: asked for, watched, downloaded, pushed to a hub."""

import hashlib

from django.http import HttpResponseBase
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.actions import exports
from annotation.api import visible
from annotation.datasets import hub
from annotation.datasets.card_front import LICENCES
from annotation.datasets.export_rows import Rows
from annotation.datasets.export_views import CONTENT_TYPES, served_file
from annotation.datasets.exports import ExportRefused
from annotation.datasets.layouts import DEFAULT, LAYOUTS, FileType
from annotation.datasets.withdrawn import MARK, mark_of
from annotation.models import DatasetSnapshot, SnapshotExport
from sampling.long_tasks import TaskState
from sampling.models import Scope
from sampling.rest.filtering import Id


class ExportFile(serializers.Serializer):
    name = serializers.CharField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    rows = serializers.IntegerField(allow_null=True)
    address = serializers.CharField(help_text="Where it is downloaded, from any byte on.")


class ExportShown(serializers.ModelSerializer):
    project = serializers.IntegerField(source="snapshot.project_id")
    page = serializers.CharField(source="get_absolute_url")
    files = serializers.SerializerMethodField(
        help_text="Once it is ready. WITHDRAWN.md says what was withdrawn since; no other ever changes."
    )
    is_ready = serializers.SerializerMethodField(help_text="Whether its files can be downloaded now.")

    class Meta:
        model = SnapshotExport
        fields = [
            "id", "project", "snapshot", "page", "layout", "rows", "file_type", "has_rationales", "licence", "hub_id",
            "is_private", "state", "phase", "done", "total", "failure", "is_ready", "files", "request_key",
            "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_is_ready(self, export: SnapshotExport) -> bool:
        return exports.is_ready(export)

    def get_files(self, export: SnapshotExport) -> ExportFile(many=True):
        if not exports.is_ready(export):
            return []
        found = [
            {"rows": None, **file,
             "address": reverse("annotation-api:export-file", args=[export.pk, file["name"]])}
            for file in export.files
        ]  # fmt: skip
        if mark := self._mark(export.snapshot):
            found.append(
                {"name": MARK, "bytes": len(mark), "sha256": hashlib.sha256(mark).hexdigest(), "rows": None,
                 "address": reverse("annotation-api:export-file", args=[export.pk, MARK])}
            )  # fmt: skip
        return ExportFile(found, many=True).data

    def _mark(self, snapshot: DatasetSnapshot) -> bytes:
        """Looked for once a snapshot, however many of its exports are listed."""
        known = self.context.setdefault("marks", {})
        if snapshot.pk not in known:
            known[snapshot.pk] = mark_of(snapshot)
        return known[snapshot.pk]


class ExportAsked(serializers.Serializer):
    snapshot = serializers.PrimaryKeyRelatedField(
        queryset=DatasetSnapshot.objects.all(), pk_field=serializers.IntegerField()
    )
    layout = serializers.ChoiceField(choices=[(key, each.label) for key, each in LAYOUTS.items()], default=DEFAULT)
    rows = serializers.ChoiceField(choices=[each.value for each in Rows], default=Rows.JUDGMENT.value)
    file_type = serializers.ChoiceField(choices=[each.value for each in FileType], default=FileType.JSONL.value)
    has_rationales = serializers.BooleanField(default=False, help_text="Free text may name people.")
    licence = serializers.ChoiceField(choices=list(LICENCES.items()), default="", help_text="Stands on its card.")
    request_key = serializers.UUIDField(required=False)

    def validate_snapshot(self, snapshot: DatasetSnapshot) -> DatasetSnapshot:
        request = self.context["request"]
        if not visible.managed(request.user).filter(pk=snapshot.project_id).exists():
            raise serializers.ValidationError(f'Invalid pk "{snapshot.pk}" - object does not exist.')
        return snapshot


class PushAsked(serializers.Serializer):
    hub_id = serializers.CharField(max_length=200, help_text="owner/name of a dataset.")
    is_private = serializers.BooleanField(default=True, help_text="Of a dataset that is new.")
    request_key = serializers.UUIDField(required=False)

    def validate_hub_id(self, hub_id: str) -> str:
        try:
            hub.check_id(hub_id)
        except hub.PushRefused as refusal:
            raise serializers.ValidationError(str(refusal)) from None
        return hub_id


class ExportFilters(filters.FilterSet):
    project = filters.ModelChoiceFilter(field_name="snapshot__project", queryset=visible.to_filter_by(visible.managed))
    snapshot = Id(field_name="snapshot_id")
    layout = filters.ChoiceFilter(choices=[(key, each.label) for key, each in LAYOUTS.items()])
    state = filters.ChoiceFilter(choices=TaskState.choices)

    class Meta:
        model = SnapshotExport
        fields: list[str] = []


FILE = {(code, kind): OpenApiTypes.BINARY for code in (200, 206) for kind in CONTENT_TYPES.values()}
NO_CONTENT = {
    304: OpenApiResponse(description="You have it already."),
    416: OpenApiResponse(description="The part that was asked for begins behind the file's end."),
}


class Exports(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """Views of snapshots as files: made once by a worker, downloaded as often as one likes."""

    queryset = SnapshotExport.objects.select_related("snapshot")
    serializer_class = ExportShown
    filterset_class = ExportFilters
    project_path = "snapshot__project"
    write_scope = Scope.EXPORT
    scopes = {"file": Scope.EXPORT}

    @extend_schema(request=ExportAsked, responses={202: ExportShown})
    def create(self, request: Request) -> Response:
        """Ask for the files of a view: the ones that there are, or new ones, made by a worker (see Location)."""
        try:
            made = exports.request_export(created_by=request.user, **self.asked(ExportAsked))
        except ExportRefused as refusal:
            raise serializers.ValidationError({"layout": [str(refusal)]}) from None
        return self._accepted(made)

    @extend_schema(request=PushAsked, responses={202: ExportShown})
    @action(detail=True, methods=["post"])
    def push(self, request: Request, pk: int) -> Response:
        """The same view, pushed to a hub: an export of its own, which says how that went."""
        export = self.get_object()
        same = ("snapshot", "layout", "rows", "file_type", "has_rationales", "licence")
        view = {name: getattr(export, name) for name in same}
        return self._accepted(exports.request_export(created_by=request.user, **view, **self.asked(PushAsked)))

    @extend_schema(request=None, responses=ExportShown)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Ask for its end."""
        return Response(self.get_serializer(exports.cancel_export(export=self.get_object())).data)

    @extend_schema(request=None, responses=ExportShown)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Queue a failed or cancelled one again."""
        return Response(self.get_serializer(exports.retry_export(export=self.get_object())).data)

    @extend_schema(
        responses=FILE | NO_CONTENT,
        parameters=[
            OpenApiParameter("name", str, OpenApiParameter.PATH, description="Of one of its files."),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="bytes=1000- goes on at that byte."),
        ],
    )
    @action(detail=True, methods=["get"], url_path="files/<str:name>", filter_backends=[])
    def file(self, request: Request, pk: int, name: str) -> HttpResponseBase:
        """Download a file, from its beginning or from where a download broke off."""
        return served_file(request._request, self.get_object(), name)

    def _accepted(self, export: SnapshotExport) -> Response:
        found = self.get_queryset().get(pk=export.pk)
        headers = {"Location": reverse("annotation-api:export-detail", args=[found.pk])}
        return Response(self.get_serializer(found).data, status.HTTP_202_ACCEPTED, headers=headers)
