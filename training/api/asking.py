"""What a program sends to launch a round or to have its data checked. Names or ids, both are understood."""

from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.models import DatasetSnapshot
from sampling.models import ModelVersion
from training import recipe as recipes
from training.launching import changes, prefill
from training.launching.asked import BLANK, Asked
from training.launching.forms import MAX_CHANGES, OF_THE_ROUND, recipe_names
from training.launching.launch_checks import MAX_NAME
from training.models import DemonstrationSet, TrainingRound

SEED = 17
LISTED = 20  # of what there is, in an error's words


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string"}]})
class ByNameOrId(serializers.Field):
    """A row by its id (a number) or by its name (text); a wrong one is answered with those there are."""

    def __init__(self, rows: QuerySet, what: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.what = rows, what

    def to_internal_value(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise serializers.ValidationError(f"Give the id or the name of a {self.what}.")
        rows = self.rows.all()
        of_id = isinstance(value, int)
        if of_id and abs(value) >= 2**63:
            raise serializers.ValidationError(f"There is no {self.what} {value}.")
        found = list(rows.filter(Q(pk=value) if of_id else Q(name=value.replace("\0", "")))[:2])
        if not found:
            there = ", ".join(rows.values_list("name", flat=True)[:LISTED]) or "none yet"
            raise serializers.ValidationError(f'There is no {self.what} "{value}". There are: {there}.')
        if len(found) > 1:
            raise serializers.ValidationError(f'More than one {self.what} is called "{value}". Give its id.')
        return found[0]


@extend_schema_field({"oneOf": [{"type": "object", "additionalProperties": {}}, {"type": "string"}]})
class Changes(serializers.Field):
    """By section ({"dpo": {"beta": 0.2}}), or the lines of TOML that the form takes."""

    def to_internal_value(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        if not isinstance(value, str) or len(value) > MAX_CHANGES:
            raise serializers.ValidationError(f"Give an object by section, or at most {MAX_CHANGES:,} characters.")
        try:
            return changes.read(value)
        except recipes.RecipeError as error:
            raise serializers.ValidationError(str(error)) from None


class CheckAsked(serializers.Serializer):
    """The inputs of a round, on which the check of its data depends."""

    base_policy = ByNameOrId(ModelVersion.objects.policies(), "policy", required=False)
    snapshot = ByNameOrId(DatasetSnapshot.objects.select_related("project"), "snapshot", required=False)
    recipe = serializers.ChoiceField(choices=[], required=False)
    changes = Changes(default=dict)
    previous = ByNameOrId(TrainingRound.objects.select_related("policy", "snapshot"), "round", default=None)
    demonstrations = ByNameOrId(DemonstrationSet.objects.defer("rejected"), "set of demonstrations", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [*recipe_names(), BLANK]
        self.fields["recipe"].choices = names
        told = f'There is no recipe "{{input}}". There are: {", ".join(names)}.'
        self.fields["recipe"].error_messages["invalid_choice"] = told

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """What is left out is taken from ``previous``, as the form and the shell take it that continue a round."""
        if previous := given["previous"]:
            given = _as_before(previous, given)
        missing = [field for field in ("base_policy", "snapshot", "recipe") if field not in given]
        if missing:
            required = serializers.Field.default_error_messages["required"]
            raise serializers.ValidationError({field: [required] for field in missing})
        return {"demonstrations": None} | given

    @property
    def asked(self) -> Asked:
        return Asked(**{field: self.validated_data[field] for field in OF_THE_ROUND})


class RoundAsked(CheckAsked):
    name = serializers.CharField(max_length=MAX_NAME)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)
    cloned_from = ByNameOrId(TrainingRound.objects.all(), "round", default=None)
    request_key = serializers.UUIDField(default=None, allow_null=True)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        usual = given["previous"].seed if given["previous"] else SEED
        return {"seed": usual} | super().validate(given)


def _as_before(previous: TrainingRound, given: dict[str, Any]) -> dict[str, Any]:
    """With what the next round of the schedule begins with: its recipe with the changes, and those given over them."""
    told = prefill.continuing(previous)
    before: dict[str, Any] = {"demonstrations": previous.demonstrations}
    if "base_policy" not in given:
        before["base_policy"] = ModelVersion.objects.get(pk=told["base_policy"])
    if "snapshot" not in given:
        before["snapshot"] = DatasetSnapshot.objects.select_related("project").get(pk=told["snapshot"])
    if "recipe" in given:
        return before | given
    changed = changes.laid_over(recipes.read_changes(told["changes"]), given["changes"])
    return before | given | {"recipe": told["recipe"], "changes": changed}
