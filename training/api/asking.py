"""What a program sends to launch a round or to have its data checked. Names or ids, both are understood."""

from typing import Any

from django.db.models import Q, QuerySet
from rest_framework import serializers

from annotation.models import DatasetSnapshot
from sampling.models import ModelVersion
from training import recipe as recipes
from training.launching.asked import BLANK, Asked
from training.launching.forms import MAX_CHANGES, OF_THE_ROUND, recipe_names
from training.launching.launch_checks import MAX_NAME
from training.models import DemonstrationSet, TrainingRound

LISTED = 20  # of what there is, in an error's words


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
        found = list(rows.filter(Q(pk=value) if of_id else Q(name=value))[:2])
        if not found:
            there = ", ".join(rows.values_list("name", flat=True)[:LISTED]) or "none yet"
            raise serializers.ValidationError(f'There is no {self.what} "{value}". There are: {there}.')
        if len(found) > 1:
            raise serializers.ValidationError(f'More than one {self.what} is called "{value}". Give its id.')
        return found[0]


class Changes(serializers.Field):
    """By section ({"dpo": {"beta": 0.2}}), or the lines of TOML that the form takes."""

    def to_internal_value(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        if not isinstance(value, str) or len(value) > MAX_CHANGES:
            raise serializers.ValidationError(f"Give an object by section, or at most {MAX_CHANGES:,} characters.")
        try:
            return recipes.read_changes(value)
        except recipes.RecipeError as error:
            raise serializers.ValidationError(str(error)) from None


class CheckAsked(serializers.Serializer):
    """The inputs of a round, on which the check of its data depends."""

    base_policy = ByNameOrId(ModelVersion.objects.policies(), "policy", required=False)
    snapshot = ByNameOrId(DatasetSnapshot.objects.select_related("project"), "snapshot")
    recipe = serializers.ChoiceField(choices=[])
    changes = Changes(default=dict)
    previous = ByNameOrId(TrainingRound.objects.select_related("policy", "snapshot"), "round", default=None)
    demonstrations = ByNameOrId(DemonstrationSet.objects.defer("rejected"), "set of demonstrations", default=None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [*recipe_names(), BLANK]
        self.fields["recipe"].choices = names
        told = f'There is no recipe "{{input}}". There are: {", ".join(names)}.'
        self.fields["recipe"].error_messages["invalid_choice"] = told

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """A round that continues another starts from the policy which that one made, unless it is told otherwise."""
        if "base_policy" not in given:
            previous = given["previous"]
            if previous is None or previous.policy is None:
                raise serializers.ValidationError({"base_policy": ["This field is required."]})
            given["base_policy"] = previous.policy
        return given

    @property
    def asked(self) -> Asked:
        return Asked(**{field: self.validated_data[field] for field in OF_THE_ROUND})


class RoundAsked(CheckAsked):
    name = serializers.CharField(max_length=MAX_NAME)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=17)
    cloned_from = ByNameOrId(TrainingRound.objects.all(), "round", default=None)
    request_key = serializers.UUIDField(default=None, allow_null=True)
