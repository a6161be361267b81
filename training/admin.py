"""Rounds and stages for the administrator: to read. What changes them are the actions."""

from django.contrib import admin

from sampling.read_only_admin import ReadOnly
from training.models import Stage, TrainingRound


class StageInline(ReadOnly, admin.TabularInline):
    model = Stage
    fields = ["position", "kind", "state", "attempts", "started_at", "finished_at", "model_version", "failure"]


@admin.register(TrainingRound)
class TrainingRoundAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["name", "state", "base_policy", "snapshot", "recipe_name", "policy", "created_at"]
    list_filter = ["state", "recipe_name"]
    list_select_related = ["base_policy", "snapshot", "policy"]
    search_fields = ["name"]
    inlines = [StageInline]
