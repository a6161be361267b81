"""The administration's view of sampling: to look things up and to rename, not to run anything."""

from django.contrib import admin

from sampling.models import ModelVersion, PromptSet, SamplingRun


@admin.register(PromptSet)
class PromptSetAdmin(admin.ModelAdmin):
    list_display = ["name", "created_at", "created_by"]
    search_fields = ["name"]
    readonly_fields = ["created_by"]


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin):
    """What a version is never changes; its name and notes may. Publishing is a round's, by its gate or on record."""

    list_display = ["name", "role", "parent", "published_at", "created_at"]
    list_filter = ["role"]
    search_fields = ["name", "content_hash"]
    readonly_fields = ["role", "parent", "location", "content_hash", "published_at"]

    def has_add_permission(self, request) -> bool:
        return False  # the page and the command check the files first


@admin.register(SamplingRun)
class SamplingRunAdmin(admin.ModelAdmin):
    """States move by actions only, so nothing can be edited here."""

    list_display = ["name", "state", "prompt_set", "done", "total", "created_at"]
    list_filter = ["state"]

    def has_add_permission(self, request) -> bool:
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        return False
