"""Recipes, demonstrations, blind tests and lineage, for programs of staff."""

import io
import json
from typing import Any

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from sampling.models import ModelVersion, Scope
from sampling.rest.problems import Conflict
from sampling.rest.views import SiteResource
from training import actions
from training import recipe as recipes
from training.api import shapes
from training.api.asking import ByNameOrId
from training.evaluation import standings
from training.evaluation.blind_tests import BlindTestRefused, open_blind_test
from training.launching.forms import recipe_names
from training.lineage import description
from training.lineage.views import asked_for, learned_json
from training.models import BlindTest, DemonstrationSet, TrainingRound

MOST_CONVERSATIONS = 10_000


class DemonstrationsAsked(serializers.Serializer):
    name = serializers.CharField(max_length=120)
    rows = serializers.ListField(
        child=serializers.DictField(),
        min_length=1,
        max_length=MOST_CONVERSATIONS,
        help_text='Conversations that end with the assistant: {"messages": [{"role", "content"}]}.',
    )
    request_key = serializers.UUIDField(required=False)


class Demonstrations(mixins.ListModelMixin, mixins.RetrieveModelMixin, SiteResource):
    """Conversations to learn from by imitation."""

    queryset = DemonstrationSet.objects.all()
    serializer_class = shapes.DemonstrationSetShown
    filterset_fields = ["name"]
    write_scope = Scope.IMPORT

    @extend_schema(request=DemonstrationsAsked, responses={201: shapes.DemonstrationSetShown})
    def create(self, request: Request) -> Response:
        """A set of these; bad ones are left out, each with its reason. The same ones again are the same set."""
        asked = DemonstrationsAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in given.pop("rows"))
        file = io.BytesIO(lines.encode("utf-8", "surrogatepass"))
        made = actions.import_demonstrations(file=file, file_name="API", created_by=request.user, **given)
        return Response(self.get_serializer(made).data, status.HTTP_201_CREATED)


class BlindTestAsked(serializers.Serializer):
    round = ByNameOrId(TrainingRound.objects.all(), "round")
    opponent = ByNameOrId(ModelVersion.objects.policies(), "policy")
    prompts = serializers.IntegerField(min_value=1, max_value=100_000, default=None, allow_null=True)
    overlap = serializers.IntegerField(min_value=1, max_value=50, default=1, help_text="How many people judge each.")


class BlindTests(SiteResource):
    """A round's new policy against another, judged by people who are not told which is which."""

    queryset = BlindTest.objects.select_related("opponent", "project")
    serializer_class = shapes.BlindTestShown
    filterset_fields = ["round"]
    write_scope = Scope.TRAIN

    @extend_schema(responses=shapes.BlindTestShown(many=True))
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response([_shown(test) for test in page])

    @extend_schema(responses=shapes.BlindTestShown)
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(_shown(self.get_object()))

    @extend_schema(request=BlindTestAsked, responses={201: shapes.BlindTestShown})
    def create(self, request: Request) -> Response:
        """Open one: a project in which people compare the two policies' answers. The same one again is that one."""
        asked = BlindTestAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            test = open_blind_test(created_by=request.user, **asked.validated_data)
        except BlindTestRefused as refusal:
            raise Conflict(str(refusal)) from None
        return Response(_shown(test), status.HTTP_201_CREATED)


class Recipes(SiteResource):
    """The presets that a round may follow."""

    queryset = TrainingRound.objects.none()
    serializer_class = shapes.RecipeShown
    lookup_value_converter = "str"
    pagination_class = None
    filter_backends: list[Any] = []

    @extend_schema(responses=shapes.RecipeShown(many=True))
    def list(self, request: Request) -> Response:
        return Response([_recipe(name) for name in recipe_names()])

    @extend_schema(
        responses=shapes.RecipeShown,
        parameters=[OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH, description="Its name.")],
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        if pk not in recipe_names():
            raise Http404(f'There is no recipe "{pk[:60]}". There are: {", ".join(recipe_names())}.')
        return Response(_recipe(pk))


class Lineages(SiteResource):
    """From a weight back to each click, and from a click to every weight that learned from it."""

    queryset = ModelVersion.objects.all()
    serializer_class = serializers.Serializer
    pagination_class = None
    filter_backends: list[Any] = []

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def retrieve(self, request: Request, pk: int) -> Response:
        """Of a model version: its parents, rounds, stages, recipes, code, hardware, seeds, snapshots, judgments."""
        return Response(description.as_json(description.lineage_of(self.get_object())))

    @extend_schema(
        responses=shapes.LearnedShown,
        parameters=[
            OpenApiParameter("what", OpenApiTypes.STR, OpenApiParameter.PATH, enum=["judgment", "annotator", "prompt"]),
        ],
    )
    @action(detail=True, methods=["get"], url_path="learned-from/<str:what>")
    def learned_from(self, request: Request, pk: int, what: str) -> Response:
        """Which versions learned from this judgment, annotator or prompt, whose id it is."""
        title, _, found = asked_for(what, pk)
        return Response({"learned_from": title, "versions": [learned_json(each) for each in found]})


def _shown(test: BlindTest) -> dict[str, Any]:
    stands = standings.standing(test)
    counts = ("prompts", "judged", "alike", "wins", "ties", "losses", "win_rate", "low", "high")
    return {
        "id": test.pk,
        "round": test.round_id,
        "opponent": test.opponent.name,
        "project": test.project.slug,
        **{name: getattr(stands, name) for name in counts},
    }


def _recipe(name: str) -> dict[str, str]:
    text = (recipes.RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    return {"name": name, "description": recipes.load(name).description, "text": text}
