"""Imports: what is to be brought in is named or uploaded, looked through, brought in, and perhaps taken out again."""

import uuid
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import StreamingHttpResponse
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.importing import actions, rejects
from sampling.importing.forms import NewImportForm, store_form
from sampling.importing.import_page import as_json
from sampling.importing.options import Options
from sampling.intake.formats import FORMATS
from sampling.intake.mapping import FIELDS
from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.models import DataImport, Doing, LeftOut, LeftOutRow, Scope
from sampling.rest.fields import Named
from sampling.rest.filtering import Id
from sampling.rest.pages import Pages
from sampling.rest.problems import Conflict, by_field
from sampling.rest.reading import BoundedJson
from sampling.rest.views import SiteResource

LONGEST_PASTED = 5_000_000
WHATS = list(settings.IMPORT_STORES)


class OptionsAsked(serializers.Serializer):
    """How the source is read. What is left out is usual."""

    format = serializers.ChoiceField(
        choices=[("", "recognised by the rows' shape"), *((key, each.label) for key, each in FORMATS.items())],
        default="",
    )
    mapping = serializers.DictField(
        child=serializers.CharField(max_length=200), default=dict,
        help_text=f"Our name to the source's column. Ours: {', '.join(FIELDS)}.",
    )  # fmt: skip
    split_name = serializers.CharField(max_length=200, default="", allow_blank=True)
    subset = serializers.CharField(max_length=200, default="", allow_blank=True)
    eval_percent = serializers.FloatField(min_value=0, max_value=100, default=0.0)
    split_group = serializers.CharField(max_length=200, default="", allow_blank=True)
    steps = serializers.ListField(
        child=serializers.DictField(), default=list, help_text='Filters in their order: {"filter": key, ...}.'
    )
    store = serializers.DictField(
        default=dict, help_text='Of judgments: {"project": slug} or {"new_project": name}; "unnamed_are_one".'
    )

    def validate_mapping(self, mapping: dict[str, str]) -> dict[str, str]:
        if any(name not in FIELDS for name in mapping):
            raise serializers.ValidationError(f"Our names are: {', '.join(FIELDS)}.")
        return mapping

    def validate_eval_percent(self, value: float) -> float:
        if value != value:
            raise serializers.ValidationError("A number from 0 to 100.")
        return value

    def options(self, what: str) -> Options:
        """Raises ValidationError for what the store cannot be told."""
        given = dict(self.validated_data)
        return Options(**{**given, "store": _to_store(what, given["store"])})


def _to_store(what: str, told: dict[str, Any]) -> dict[str, Any]:
    """As the page's form reads it; what is left out is what the form begins with."""
    form = store_form(what)
    if any(name not in form.fields for name in told):
        there = ", ".join(form.fields) or "nothing"
        raise serializers.ValidationError({"store": [f"It can be told: {there}."]})
    usual = {name: field.initial for name, field in form.fields.items() if field.initial is not None}
    data = {f"store-{name}": _as_sent(value) for name, value in (usual | told).items()}
    form = store_form(what, data)
    if not form.is_valid():
        said = [f"{name}: {word}" if name in form.fields else word for name, words in form.errors.items()
                for word in words]  # fmt: skip
        raise serializers.ValidationError({"store": said})
    return as_json(form.cleaned_data)


def _as_sent(value: Any) -> Any:
    return value if isinstance(value, bool) else str(value).encode("utf-8", "replace").decode()


class ImportAsked(serializers.Serializer):
    """Of what, into which prompt set, from where: one of hub_id, incoming, pasted."""

    what = serializers.ChoiceField(choices=WHATS)
    prompt_set = serializers.CharField(max_length=120, help_text="By name; made where there is none.")
    hub_id = serializers.CharField(max_length=200, required=False, help_text="Of a dataset, such as org/name.")
    incoming = serializers.CharField(
        max_length=255, required=False, help_text="The name of what lies in the server's folder for imports."
    )
    pasted = serializers.CharField(
        max_length=LONGEST_PASTED, required=False, trim_whitespace=False, help_text="The lines of a small file."
    )
    options = OptionsAsked(required=False)
    request_key = serializers.UUIDField(required=False, help_text="The same key again gives the import that is there.")


class ImportUploaded(serializers.Serializer):
    """A file, in parts. Whoever may send it twice gives an Idempotency-Key."""

    what = serializers.ChoiceField(choices=WHATS)
    prompt_set = serializers.CharField(max_length=120)
    file = serializers.FileField()
    options = serializers.JSONField(required=False, help_text="As of an import without an upload, as JSON.")


class OptionsChanged(serializers.Serializer):
    options = OptionsAsked()


class ImportShown(serializers.ModelSerializer):
    prompt_set = Named(read_only=True)
    created_by = Named("username", read_only=True, allow_null=True)
    page = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = DataImport
        fields = [
            "id", "what", "doing", "state", "phase", "done", "total", "failure", "name", "page", "prompt_set",
            "source_kind", "is_uploaded", "source_hash", "next_row", "prompts_added", "completions_added",
            "comparisons_added", "judgments_added", "known_count", "rejected_count", "filtered_count", "undone_at",
            "request_key", "created_at", "created_by", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class ImportFull(ImportShown):
    options = serializers.DictField(help_text="How it is read.")
    seen = serializers.DictField(help_text="What the last look found: format, columns, first rows and records, counts.")

    class Meta(ImportShown.Meta):
        fields = [*ImportShown.Meta.fields, "options", "seen"]
        read_only_fields = fields


class LeftOutShown(serializers.ModelSerializer):
    class Meta:
        model = LeftOutRow
        fields = ["data_import", "line", "why", "reason", "content"]
        read_only_fields = fields


class ImportFilters(filters.FilterSet):
    state = filters.ChoiceFilter(choices=TaskState.choices)
    doing = filters.ChoiceFilter(choices=Doing.choices)
    what = filters.ChoiceFilter(choices=[(what, what) for what in WHATS])

    class Meta:
        model = DataImport
        fields = ["prompt_set", "source_hash"]


WHY = OpenApiParameter("why", str, enum=LeftOut.values, description="Only these.")


class Imports(mixins.ListModelMixin, SiteResource):
    """What is brought in from elsewhere: first looked through, then brought in, batch by batch; undone as a whole."""

    queryset = DataImport.objects.select_related("prompt_set", "created_by")
    serializer_class = ImportShown
    filterset_class = ImportFilters
    write_scope = Scope.IMPORT

    def get_queryset(self):
        rows = super().get_queryset()
        return rows.defer("seen", "options") if getattr(self, "action", None) == "list" else rows

    def get_parsers(self) -> list:
        """An upload comes in parts; nothing else does."""
        doing = getattr(self, "action", None) or self.action_map.get((self.request.method or "").lower())
        return [BoundedJson(), MultiPartParser()] if doing == "create" else [BoundedJson()]

    @extend_schema(
        request={"application/json": ImportAsked, "multipart/form-data": ImportUploaded}, responses={202: ImportFull}
    )
    def create(self, request: Request) -> Response:
        """Name or upload what is to be imported. A worker looks through it first; nothing is brought in yet."""
        is_upload = (request.content_type or "").startswith("multipart/")
        asked = (ImportUploaded if is_upload else ImportAsked)(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        made = actions.create_import(
            what=given["what"],
            prompt_set_name=given["prompt_set"],
            options=_options(given),
            created_by=request.user,
            request_key=given.get("request_key"),
            **_source(given),
        )
        headers = {"Location": reverse("sampling-api:import-detail", args=[made.pk])}
        return Response(ImportFull(made).data, status.HTTP_202_ACCEPTED, headers=headers)

    @extend_schema(responses=ImportFull)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One import, with what the last look found."""
        return self._answer(self.get_object())

    @extend_schema(request=OptionsChanged, responses=ImportFull)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Read the source in another way: it is looked through again."""
        found = self.get_object()
        asked = OptionsChanged(data=request.data)
        asked.is_valid(raise_exception=True)
        told = OptionsAsked(data=request.data["options"])
        told.is_valid(raise_exception=True)
        return self._do(actions.change_options, found, options=told.options(found.what))

    @extend_schema(request=None, responses=ImportFull)
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: int) -> Response:
        """Bring it in as it was looked through."""
        return self._do(actions.start, self.get_object())

    @extend_schema(request=None, responses=ImportFull)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Ask for an end. What is brought in already stays."""
        return self._do(actions.cancel, self.get_object())

    @extend_schema(request=None, responses=ImportFull)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Go on with what failed or was cancelled, where it stopped."""
        return self._do(actions.retry, self.get_object())

    @extend_schema(request=None, responses=ImportFull)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: int) -> Response:
        """Take all out again that it brought, or nothing where something was made of it."""
        return self._do(actions.undo, self.get_object(), by=request.user)

    @extend_schema(responses={(200, "application/jsonl"): OpenApiTypes.STR}, parameters=[WHY])
    @action(detail=True, methods=["get"], filter_backends=[])
    def rejects(self, request: Request, pk: int) -> StreamingHttpResponse:
        """Every row that was left out, as JSON Lines: line, why, reason, content. Mended, they can be imported."""
        found = self.get_object()
        why = request.query_params.get("why", "")
        if why not in ("", *LeftOut.values):
            raise serializers.ValidationError({"why": [f"Choose from: {', '.join(LeftOut.values)}."]})
        response = StreamingHttpResponse(rejects.lines(found, why=why), content_type="application/jsonl")
        response["Content-Disposition"] = f'attachment; filename="import-{found.pk}-left-out.jsonl"'
        return response

    def _do(self, what: Any, found: DataImport, **more: Any) -> Response:
        try:
            what(data_import=found, **more)
        except StaleState:
            found.refresh_from_db()
            raise Conflict(f"It is {found.get_state_display()} now, and this cannot be done with it.") from None
        except actions.ValidationError as error:
            if hasattr(error, "error_dict"):
                raise serializers.ValidationError({"options": by_field(error)}) from None
            raise Conflict(" ".join(error.messages)) from None
        return self._answer(self.get_queryset().get(pk=found.pk))

    def _answer(self, found: DataImport) -> Response:
        return Response(ImportFull(found).data)


def _options(given: dict[str, Any]) -> Options:
    told = OptionsAsked(data=given.get("options") or {})
    try:
        told.is_valid(raise_exception=True)
        return told.options(given["what"])
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"options": error.detail}) from None


def _source(given: dict[str, Any]) -> dict[str, Any]:
    """By the page's form, so that a name leads nowhere but into the server's folder for imports."""
    fields = {"file": "upload", "pasted": "pasted", "incoming": "incoming", "hub_id": "hub"}
    named = [name for name in fields if given.get(name) is not None]
    if len(named) != 1:
        raise serializers.ValidationError({"hub_id": ["Say where the rows are: one of hub_id, incoming, pasted."]})
    (name,) = named
    data = {
        "request_key": given.get("request_key") or uuid.uuid4(), "prompt_set_name": given["prompt_set"],
        "comes_from": fields[name],
    }  # fmt: skip
    value = given[name]
    is_file = isinstance(value, UploadedFile)
    form = NewImportForm({**data, **({} if is_file else {name: value})}, {name: value} if is_file else None)
    if not form.is_valid():
        renamed = {"prompt_set_name": "prompt_set", "__all__": "non_field_errors"}
        raise serializers.ValidationError({renamed.get(name, name): list(said) for name, said in form.errors.items()})
    return form.source()


class InOrder(Pages):
    """As the rows stand in their source."""

    ordering = "pk"


class LeftOutFilters(filters.FilterSet):
    data_import = Id(field_name="data_import_id")

    class Meta:
        model = LeftOutRow
        fields = ["why"]


class LeftOutRows(mixins.ListModelMixin, SiteResource):
    """The rows that imports left out, and why."""

    queryset = LeftOutRow.objects.all()
    serializer_class = LeftOutShown
    filterset_class = LeftOutFilters
    pagination_class = InOrder
    write_scope = Scope.IMPORT
