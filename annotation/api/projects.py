"""Projects: what is asked of annotators, by which guidelines, and how far they are."""

from dataclasses import asdict
from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import actions
from annotation.access import imports_to_compare, may_manage, runs_to_compare
from annotation.actions.reports import is_being_computed
from annotation.api import visible
from annotation.api.assignments import ClaimAsked, Claimed, claimed
from annotation.api.protocol import ProjectAsked, ProjectSettings
from annotation.models import JudgeKind, Project, ProjectReport
from annotation.projects.overview import counts_of
from annotation.review import listing
from annotation.rules.protocol import MAX_COMPLETIONS
from sampling.models import DataImport, SamplingRun, Scope, Split
from sampling.rest.authentication import IsStaff
from sampling.rest.filtering import TrueOrFalse


class ProjectShown(serializers.ModelSerializer):
    """What every member may see: nothing by which gold could be told."""

    aspects = serializers.ListField(child=serializers.DictField())
    defects = serializers.ListField(child=serializers.DictField())
    guidelines = serializers.CharField(help_text="The text in force, as markdown; empty where there is none.")
    guidelines_version = serializers.IntegerField(source="guidelines_version.number", default=None, allow_null=True)
    page = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Project
        fields = [
            "id", "name", "slug", "page", "preset", "completions_per_comparison", "allow_ties", "strength_scale",
            "ask_safety", "aspects", "defects", "rationale", "allow_all_bad", "allow_edits", "show_length",
            "lease_seconds", "is_paused", "guidelines", "guidelines_version", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class Paused(serializers.Serializer):
    is_paused = serializers.BooleanField()


class Counted(serializers.Serializer):
    comparisons = serializers.IntegerField(help_text="Of work.")
    wanted = serializers.IntegerField(help_text="Judgments in all.")
    filled = serializers.IntegerField()
    open = serializers.IntegerField()
    imported = serializers.IntegerField(help_text="Judgments given elsewhere, beside the others.")
    at = serializers.DateTimeField(help_text="When it was counted: the figures of a large project are kept a while.")


class FitAsked(serializers.Serializer):
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, default=0)


class Fitted(serializers.Serializer):
    is_fitting = serializers.BooleanField(help_text="Whether a new overlap does not hold everywhere yet.")
    after = serializers.IntegerField(allow_null=True, help_text="To be sent with the next request; null: done.")


class OpenAsked(serializers.Serializer):
    run = serializers.IntegerField(required=False, help_text="A sampling run, or:")
    data_import = serializers.IntegerField(required=False, help_text="An import of completions.")
    k = serializers.IntegerField(min_value=2, max_value=MAX_COMPLETIONS, required=False)
    split = serializers.ChoiceField(choices=[("", "both"), *Split.choices], default="")
    priority = serializers.IntegerField(min_value=-1000, max_value=1000, default=0)
    group = serializers.CharField(max_length=40, default="", allow_blank=True)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("run" in given) == ("data_import" in given):
            raise serializers.ValidationError({"run": ["Name a sampling run or an import: one of the two."]})
        return given


class Opened(serializers.Serializer):
    opened = serializers.IntegerField()
    already_open = serializers.IntegerField()
    skipped = serializers.IntegerField(help_text="Prompts with fewer than two different completions.")


class NextDisagreement(serializers.Serializer):
    comparison = serializers.IntegerField(allow_null=True)


class Quality(serializers.Serializer):
    judgments = serializers.IntegerField(help_text="From how many it was computed.")
    computed_at = serializers.DateTimeField(allow_null=True)
    requested_at = serializers.DateTimeField(allow_null=True, help_text="Set while new figures are on their way.")
    is_being_computed = serializers.BooleanField()
    error = serializers.CharField(allow_blank=True)
    content = serializers.DictField(help_text="By kind of judge: agreement, annotators; for managers win rates too.")


class ProjectFilters(filters.FilterSet):
    is_paused = TrueOrFalse()

    class Meta:
        model = Project
        fields = ["name", "slug"]


AFTER = OpenApiParameter("after", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1})
KIND = OpenApiParameter("kind", str, enum=[*JudgeKind.values, "all"], description="Whose judgments are compared.")


class Projects(mixins.ListModelMixin, mixins.RetrieveModelMixin, visible.ProjectResource):
    """The projects that one is a member of; for staff all."""

    queryset = Project.objects.select_related("guidelines_version")
    serializer_class = ProjectShown
    filterset_class = ProjectFilters
    project_path = "pk"
    seen_in = staticmethod(visible.projects)
    scopes = {"claim": Scope.ANNOTATE}

    def get_permissions(self) -> list:
        return [*super().get_permissions(), *([IsStaff()] if self.action == "create" else [])]

    def managed(self) -> Project:
        project = self.get_object()
        visible.must_manage(self.request, project)
        return project

    def reviewed(self) -> Project:
        project = self.get_object()
        visible.must_review(self.request, project)
        return project

    @extend_schema(request=ProjectAsked, responses={201: ProjectSettings})
    def create(self, request: Request) -> Response:
        """Make a project, by a preset or by settings of its own; whoever makes it becomes its manager. For staff."""
        made = actions.create_project(created_by=request.user, **self.asked(ProjectAsked))
        return Response(ProjectSettings(made).data, status.HTTP_201_CREATED)

    @extend_schema(responses=ProjectSettings)
    @action(detail=True, methods=["get"], url_path="settings", filter_backends=[])
    def asked_settings(self, request: Request, pk: int) -> Response:
        """Everything that a manager sets."""
        return Response(ProjectSettings(self.managed()).data)

    @extend_schema(request=ProjectSettings(partial=True), responses=ProjectSettings)
    @asked_settings.mapping.patch
    def change_settings(self, request: Request, pk: int) -> Response:
        """What is left out stays. A new overlap of a large project is carried out by `fit`."""
        project = self.managed()
        asked = ProjectSettings(project, data=request.data, partial=True, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        for name, value in asked.validated_data.items():
            setattr(project, name, value)
        actions.save_settings(project=project, by=request.user)
        return Response(ProjectSettings(project).data)

    @extend_schema(request=Paused, responses=ProjectShown)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: int) -> Response:
        """While it is paused nothing new is handed out; what is open may be finished."""
        project = self.managed()
        actions.set_paused(project=project, by=request.user, **self.asked(Paused))
        return Response(self.get_serializer(project).data)

    @extend_schema(responses=Counted)
    @action(detail=True, methods=["get"], filter_backends=[])
    def progress(self, request: Request, pk: int) -> Response:
        """For reviewers and managers."""
        counts = counts_of(self.reviewed())
        return Response(Counted({**asdict(counts), "wanted": counts.wanted}).data)

    @extend_schema(request=FitAsked, responses=Fitted)
    @action(detail=True, methods=["post"])
    def fit(self, request: Request, pk: int) -> Response:
        """Carry a new overlap out, a stretch of comparisons with each request."""
        project = self.managed()
        after = actions.fit_some(project=project, by=request.user, **self.asked(FitAsked))
        return Response({"is_fitting": actions.is_fitting(project), "after": after})

    @extend_schema(request=OpenAsked, responses=Opened)
    @action(detail=True, methods=["post"], url_path="open-comparisons")
    def open_comparisons(self, request: Request, pk: int) -> Response:
        """Give the project work: the completions of a run or an import, by prompt, k in each comparison."""
        project = self.managed()
        asked = self.asked(OpenAsked)
        completions = _named_source(request, project, asked).completions.all()
        if split := asked["split"]:
            completions = completions.filter(prompt__split=split)
        chosen = {
            "k": asked.get("k", project.completions_per_comparison), "priority": asked["priority"],
            "group": asked["group"],
        }  # fmt: skip
        result = actions.open_comparisons(project=project, by=request.user, completions=completions, **chosen)
        return Response(asdict(result))

    @extend_schema(responses=NextDisagreement, parameters=[AFTER, KIND])
    @action(detail=True, methods=["get"], url_path="next-disagreement", filter_backends=[])
    def next_disagreement(self, request: Request, pk: int) -> Response:
        """The undecided comparison that annotators disagree on most; with ``after`` one, the next in that order."""
        asked = DisagreementAsked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        kind = asked.validated_data["kind"]
        found = listing.next_disagreement(self.reviewed(), "" if kind == "all" else kind, asked.validated_data["after"])
        return Response({"comparison": found})

    @extend_schema(responses=Quality)
    @action(detail=True, methods=["get"], filter_backends=[])
    def quality(self, request: Request, pk: int) -> Response:
        """Agreement and annotators' figures as they were last computed."""
        project = self.reviewed()
        report = ProjectReport.objects.filter(project=project).first() or ProjectReport(project=project)
        return Response(_quality(report, manages=may_manage(request.user, project)))

    @extend_schema(request=None, responses={202: Quality})
    @quality.mapping.post
    def compute_quality(self, request: Request, pk: int) -> Response:
        """Ask for new figures. Asking twice is asking once."""
        project = self.reviewed()
        actions.request_report(project=project)
        report = ProjectReport.objects.get(project=project)
        return Response(_quality(report, manages=may_manage(request.user, project)), status.HTTP_202_ACCEPTED)

    @extend_schema(request=ClaimAsked, responses=Claimed)
    @action(detail=True, methods=["post"])
    def claim(self, request: Request, pk: int) -> Response:
        """The comparison that one holds here, else the next one, reserved; or why there is none."""
        return Response(claimed(self.get_object(), request.user, **self.asked(ClaimAsked)))


class DisagreementAsked(serializers.Serializer):
    after = serializers.IntegerField(min_value=1, max_value=2**63 - 1, default=None)
    kind = serializers.ChoiceField(choices=[*JudgeKind.values, "all"], default=JudgeKind.PERSON.value)


def _named_source(request: Request, project: Project, asked: dict[str, Any]) -> SamplingRun | DataImport:
    name, rows = ("run", runs_to_compare) if "run" in asked else ("data_import", imports_to_compare)
    found = rows(request.user, project).filter(pk=asked[name]).first()
    if found is None:
        raise serializers.ValidationError({name: [f"There is none of the id {asked[name]} that you may compare here."]})
    return found


def _quality(report: ProjectReport, *, manages: bool) -> dict[str, Any]:
    content = dict(report.content)
    if not manages:  # what reviewers decide should not depend on whose work usually wins
        kinds = content.get("kinds", {})
        content["kinds"] = {
            kind: {name: value for name, value in figures.items() if name != "win_rates"}
            for kind, figures in kinds.items()
        }
    shown = {name: getattr(report, name) for name in ("judgments", "computed_at", "requested_at", "error")}
    return Quality({**shown, "content": content, "is_being_computed": is_being_computed(report)}).data
