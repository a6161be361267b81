"""What the API's answers about rounds look like, for the schema. `showing` fills them in."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers

from sampling.engine.phases import Kind
from sampling.long_tasks import TaskState
from training.models import DemonstrationSet, StageKind, StageState


def found(rows: QuerySet, otherwise: str) -> Any:
    """The first of them; what is not there is not found, in these words."""
    row = rows.first()
    if row is None:
        raise Http404(otherwise)
    return row


def anything(**more: Any) -> serializers.JSONField:
    """Whatever a program wrote: its keys differ from stage to stage."""
    return serializers.JSONField(**more)


class SnapshotNamed(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    project = serializers.CharField()


class RoundShort(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    url = serializers.CharField()
    page = serializers.CharField()
    state = serializers.ChoiceField(choices=TaskState.choices)
    phase = serializers.CharField(allow_blank=True)
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    failure = serializers.CharField(allow_blank=True, help_text="What went wrong, and the remedy.")
    number = serializers.IntegerField(help_text="Which round of its schedule.")
    recipe = serializers.CharField()
    base_policy = serializers.CharField()
    snapshot = SnapshotNamed()
    policy = serializers.CharField(allow_null=True, help_text="What it made.")
    is_published = serializers.BooleanField()
    win_rate = serializers.FloatField(allow_null=True, help_text="Of the new policy over the old; a tie is half.")
    win_rate_low = serializers.FloatField(allow_null=True)
    win_rate_high = serializers.FloatField(allow_null=True)
    has_withdrawn = serializers.BooleanField(
        help_text="Somebody whose judgments its snapshot holds has withdrawn their work."
    )
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class StageProgress(serializers.Serializer):
    done = serializers.FloatField(allow_null=True)
    total = serializers.FloatField(allow_null=True)
    unit = serializers.CharField(allow_null=True, allow_blank=True)
    phase = serializers.CharField(allow_null=True, allow_blank=True)


class StageShown(serializers.Serializer):
    kind = serializers.ChoiceField(choices=StageKind.choices)
    label = serializers.CharField()
    state = serializers.ChoiceField(choices=StageState.choices)
    attempts = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    progress = StageProgress()
    failure = serializers.CharField(allow_blank=True)
    result = anything(allow_null=True)
    model = serializers.CharField(allow_null=True)


class PhaseTimed(serializers.Serializer):
    phase = serializers.CharField()
    kind = serializers.ChoiceField(choices=[kind.name.lower() for kind in Kind])
    seconds = serializers.FloatField(help_text="Of all attempts.")


class StageTimed(serializers.Serializer):
    stage = serializers.CharField(allow_blank=True, help_text="Empty for what the round does outside its stages.")
    attempts = serializers.IntegerField()
    seconds = serializers.FloatField()
    work_seconds = serializers.FloatField()
    phases = PhaseTimed(many=True)


class Timing(serializers.Serializer):
    wall_seconds = serializers.FloatField(help_text="In which a worker had the round.")
    work_seconds = serializers.FloatField(help_text="Of pure work: training, sampling, scoring, measuring, saving.")
    ratio = serializers.FloatField(allow_null=True, help_text="Wall time to pure work.")
    waiting_seconds = serializers.FloatField(help_text="For a worker, before the first attempt and between two.")
    stages = StageTimed(many=True)


class RoundFull(RoundShort):
    seed = serializers.IntegerField()
    changes = anything(help_text="Of the recipe, by section.")
    resolved_recipe = anything()
    previous = serializers.CharField(allow_null=True)
    cloned_from = serializers.CharField(allow_null=True)
    demonstrations = serializers.CharField(allow_null=True)
    gate = anything(allow_null=True)
    overruled_by = serializers.CharField(allow_null=True)
    overruled_at = serializers.DateTimeField(allow_null=True)
    overrule_reason = serializers.CharField(allow_blank=True)
    people = serializers.ListField(child=serializers.DictField(), help_text="Blind tests, as far as they are judged.")
    request_key = serializers.UUIDField()
    created_by = serializers.CharField(allow_null=True)
    stages = StageShown(many=True)
    timing = Timing(allow_null=True, help_text="Where its time went; null where nothing is on record.")


class Curves(serializers.Serializer):
    stage = serializers.CharField()
    steps = serializers.ListField(child=serializers.DictField())


class LogTail(serializers.Serializer):
    stage = serializers.CharField()
    tail = serializers.CharField(allow_blank=True)


class Estimate(serializers.Serializer):
    seconds = serializers.FloatField()
    rounds_measured = serializers.IntegerField()
    seconds_by_stage = serializers.DictField(child=serializers.FloatField())
    disk_bytes = serializers.FloatField()
    disk_bytes_while_training = serializers.FloatField()
    disk_free_bytes = serializers.FloatField()


class CheckShown(serializers.Serializer):
    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=TaskState.choices)
    phase = serializers.CharField(allow_blank=True)
    failure = serializers.CharField(allow_blank=True)
    problems = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    result = anything(allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField())
    estimate = Estimate(allow_null=True)
    dropped_page = serializers.CharField()


class DemonstrationSetShown(serializers.ModelSerializer):
    rejected = serializers.ListField(child=serializers.DictField(), help_text="The first bad lines, with the reason.")

    class Meta:
        model = DemonstrationSet
        fields = ["id", "name", "file_name", "content_hash", "rows", "rejected", "rejected_count", "created_at"]
        read_only_fields = fields


class BlindTestShown(serializers.Serializer):
    id = serializers.IntegerField()
    round = serializers.IntegerField()
    opponent = serializers.CharField()
    project = serializers.CharField()
    prompts = serializers.IntegerField()
    judged = serializers.IntegerField()
    alike = serializers.IntegerField()
    wins = serializers.IntegerField()
    ties = serializers.IntegerField()
    losses = serializers.IntegerField()
    win_rate = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class RecipeShown(serializers.Serializer):
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    text = serializers.CharField(help_text="The TOML file, each value with its source beside it.")


class LearnedShown(serializers.Serializer):
    learned_from = serializers.CharField()
    versions = serializers.ListField(child=serializers.DictField())
