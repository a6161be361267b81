"""Rounds for programs: list, launch, look, cancel, retry, overrule, and the check of a round's data before a launch.

For staff. What is wrong is answered with 400 and the messages by field, in the words of the launch form; what somebody
else was quicker with, by 409.
"""

from typing import Any

from django.core.exceptions import PermissionDenied
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.lifecycle import StaleState
from sampling.long_tasks import TaskState
from sampling.models import Scope
from sampling.rest.problems import Conflict
from sampling.rest.views import SiteResource
from training import actions
from training.api import shapes, showing
from training.api.asking import CheckAsked, RoundAsked
from training.evaluation.overruling import NotAllowed, OverruleRefused, overrule_gate
from training.lineage.withdrawn import marked
from training.models import StageKind, TrainingRound
from training.watching import run_files

LOG_LINES = 200


class Overruled(serializers.Serializer):
    reason = serializers.CharField(max_length=2000, help_text="Why it is to be published all the same; on record.")


class Rounds(SiteResource):
    """Training rounds: from frozen judgments to a better policy."""

    queryset = TrainingRound.objects.all()
    serializer_class = shapes.RoundShort
    filterset_fields = ["name", "state", "snapshot", "base_policy"]
    write_scope = Scope.TRAIN

    def get_queryset(self):
        if self.action == "list":
            return marked(TrainingRound.objects.for_list())
        rows = marked(TrainingRound.objects.for_page())
        rows = rows.select_related("previous", "cloned_from", "demonstrations", "overruled_by")
        return rows.prefetch_related("stages__model_version")

    @extend_schema(responses=shapes.RoundShort(many=True))
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response([showing.round_in_short(round) for round in page])

    @extend_schema(responses=shapes.RoundFull)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One round with its stages, results and gate."""
        return Response(showing.round_in_full(self.get_object()))

    @extend_schema(request=RoundAsked, responses={201: shapes.RoundFull})
    def create(self, request: Request) -> Response:
        """Launch a round: names or ids. With ``previous``, what is left out is taken from that round."""
        asked = RoundAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        launched = actions.launch_round(**asked.validated_data, created_by=request.user)
        content = showing.round_in_full(self.get_queryset().get(pk=launched.pk))
        return Response(content, status=status.HTTP_201_CREATED, headers={"Location": content["url"]})

    @extend_schema(request=None, responses=shapes.RoundFull)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Ask for it to stop; finished stages are kept. Asking again changes nothing."""
        round = self.get_object()
        actions.cancel_round(round=round)
        if round.state in (TaskState.FINISHED, TaskState.FAILED):
            raise Conflict(f'Round "{round}" is {round.state} already; there is nothing to cancel.')
        return self.retrieve(request, pk)

    @extend_schema(request=None, responses=shapes.RoundFull)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> Response:
        """Queue a failed or cancelled round again."""
        round = self.get_object()
        try:
            actions.retry_round(round=round)
        except StaleState:
            round.refresh_from_db()
            raise Conflict(f'Round "{round}" is {round.state}; only what failed or was cancelled is retried.') from None
        return self.retrieve(request, pk)

    @extend_schema(request=Overruled, responses=shapes.RoundFull)
    @action(detail=True, methods=["post"])
    def overrule(self, request: Request, pk: int) -> Response:
        """Publish a policy that its gate withheld, with a reason that stays on record."""
        asked = Overruled(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            overrule_gate(round=self.get_object(), by=request.user, **asked.validated_data)
        except NotAllowed as refusal:
            raise PermissionDenied(str(refusal)) from None
        except OverruleRefused as refusal:
            raise Conflict(str(refusal)) from None
        return self.retrieve(request, pk)

    @extend_schema(
        responses=shapes.Curves,
        parameters=[OpenApiParameter("kind", OpenApiTypes.STR, OpenApiParameter.PATH, enum=StageKind.values)],
    )
    @action(detail=True, methods=["get"], url_path="stages/<str:kind>/metrics", filter_backends=[])
    def metrics(self, request: Request, pk: int, kind: str) -> Response:
        """What a stage measured at each of its logged steps so far: loss, rewards, learning rate and the rest."""
        stage = self._stage(kind)
        return Response({"stage": stage.kind, "steps": run_files.metrics(stage)})

    @extend_schema(
        responses=shapes.LogTail,
        parameters=[OpenApiParameter("kind", OpenApiTypes.STR, OpenApiParameter.PATH, enum=StageKind.values)],
    )
    @action(detail=True, methods=["get"], url_path="stages/<str:kind>/log", filter_backends=[])
    def log(self, request: Request, pk: int, kind: str) -> Response:
        """The end of what a stage's program wrote."""
        stage = self._stage(kind)
        return Response({"stage": stage.kind, "tail": run_files.log_tail(stage, lines=LOG_LINES)})

    @extend_schema(
        request=CheckAsked,
        responses={200: shapes.CheckShown, 202: shapes.CheckShown},
        parameters=[OpenApiParameter("again", OpenApiTypes.INT, description="1: check anew.", enum=[0, 1])],
    )
    @action(detail=False, methods=["post"])
    def check(self, request: Request) -> Response:
        """Have a round's data checked. Asked again with the same inputs, it says how far that is (202), or what it
        found (200)."""
        asked = CheckAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        found = actions.requested_check(asked=asked.asked, again=request.query_params.get("again") == "1")
        content = showing.check(found, asked.asked)
        return Response(content, status=status.HTTP_200_OK if found.is_over else status.HTTP_202_ACCEPTED)

    def _stage(self, kind: str) -> Any:
        round = self.get_object()
        return shapes.found(round.stages.filter(kind=kind), f'Round "{round}" has no stage "{kind}".')
