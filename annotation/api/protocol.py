"""What a project asks, as managers set it through the API: checked by the same rules as the form of settings."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from annotation.models import Project
from annotation.projects.presets import PRESETS
from annotation.projects.protocol_text import (
    LONGEST_LABEL,
    LinesError,
    aspects_from_text,
    defects_from_text,
    text_of_aspects,
    text_of_defects,
)
from annotation.rules.protocol import MAX_ASPECTS, MAX_DEFECTS, SCALE_ENDS, Aspect, Defect, ProtocolError

LONGEST_GUIDELINES = 200_000
NO_PLACE = "A label has no colons, no round brackets, no line breaks, and no blanks at its ends."


class AspectAsked(serializers.Serializer):
    """One quality that each completion is rated on, on whole numbers from lowest to highest."""

    key = serializers.CharField(read_only=True, help_text="By which answers name it: made of the label, and kept.")
    label = serializers.CharField(max_length=LONGEST_LABEL)
    lowest = serializers.IntegerField(min_value=SCALE_ENDS[0], max_value=SCALE_ENDS[-1], default=1)
    highest = serializers.IntegerField(min_value=SCALE_ENDS[0], max_value=SCALE_ENDS[-1], default=5)
    low_label = serializers.CharField(max_length=LONGEST_LABEL, allow_blank=True, default="")
    high_label = serializers.CharField(max_length=LONGEST_LABEL, allow_blank=True, default="")


class DefectAsked(serializers.Serializer):
    """One flaw that a completion has or has not."""

    key = serializers.CharField(read_only=True)
    label = serializers.CharField(max_length=LONGEST_LABEL)


class ProjectSettings(serializers.ModelSerializer):
    """Everything that a manager sets, but the guidelines, which have versions of their own."""

    aspects = AspectAsked(many=True, required=False, max_length=MAX_ASPECTS)
    defects = DefectAsked(many=True, required=False, max_length=MAX_DEFECTS)

    class Meta:
        model = Project
        fields = [
            "id", "name", "slug", "preset", "completions_per_comparison", "allow_ties", "strength_scale",
            "allow_all_bad", "ask_safety", "aspects", "defects", "rationale", "allow_edits", "show_length", "overlap",
            "overlap_percent", "lease_seconds", "gold_percent", "qualification_percent", "is_paused", "created_at",
        ]  # fmt: skip
        read_only_fields = ["slug", "preset", "is_paused", "created_at"]

    def validate_aspects(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """As the form's lines are read, so that a name keeps its key and none comes twice."""
        try:
            asked = [Aspect(key="", **each) for each in given]
            found = aspects_from_text(text_of_aspects(asked), self.instance.asked_aspects if self.instance else ())
        except (LinesError, ProtocolError) as error:
            raise serializers.ValidationError(getattr(error, "messages", [str(error)])) from None
        if [asdict(each) | {"key": ""} for each in found] != [asdict(each) for each in asked]:
            raise serializers.ValidationError(NO_PLACE)
        return [asdict(each) for each in found]

    def validate_defects(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            asked = [Defect(key="", **each) for each in given]
            found = defects_from_text(text_of_defects(asked), self.instance.asked_defects if self.instance else ())
        except (LinesError, ProtocolError) as error:
            raise serializers.ValidationError(getattr(error, "messages", [str(error)])) from None
        if [each.label for each in found] != [each.label for each in asked]:
            raise serializers.ValidationError(NO_PLACE)
        return [asdict(each) for each in found]


class ProjectAsked(ProjectSettings):
    """A new project. What is left out is the preset's, or else usual."""

    preset = serializers.ChoiceField(choices=[("", "none"), *((key, each.name) for key, each in PRESETS.items())],
                                     default="")  # fmt: skip
    guidelines = serializers.CharField(
        max_length=LONGEST_GUIDELINES, default="", allow_blank=True, trim_whitespace=False, help_text="Markdown."
    )

    class Meta(ProjectSettings.Meta):
        fields = [
            *(name for name in ProjectSettings.Meta.fields if name not in ("id", "slug", "is_paused", "created_at")),
            "guidelines",
        ]
        read_only_fields = []

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        preset = PRESETS.get(given["preset"])
        return {**(preset.settings if preset else {}), **given}
