"""The administration pages: a look behind the scenes, not the place where work is done."""

from django.contrib import admin

from annotation.models import Assignment, Comparison, DatasetSnapshot, Judgment, Membership, Project, ProjectChange
from sampling.read_only_admin import ReadOnly


class MembershipInline(ReadOnly, admin.TabularInline):
    model = Membership
    extra = 0


@admin.register(Project)
class ProjectAdmin(ReadOnly, admin.ModelAdmin):
    """To look at only: the project's own pages put each change on record, and make the slots that it asks for."""

    list_display = ["name", "overlap", "is_paused", "created_at"]
    search_fields = ["name"]
    inlines = [MembershipInline]


@admin.register(ProjectChange)
class ProjectChangeAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["at", "project", "who", "what", "subject"]
    list_filter = ["what", "project"]
    list_select_related = ["project", "who"]


@admin.register(Comparison)
class ComparisonAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["id", "project", "prompt", "priority", "created_at"]
    list_filter = ["project"]
    list_select_related = ["project", "prompt"]


@admin.register(Assignment)
class AssignmentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["id", "comparison_id", "annotator", "state", "skip_reason", "leased_until"]
    list_filter = ["state", "purpose"]
    list_select_related = ["annotator"]


@admin.register(Judgment)
class JudgmentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["id", "comparison_id", "annotator", "kind", "revision", "ranking", "created_at"]
    list_filter = ["kind", "comparison__project"]
    list_select_related = ["annotator"]


@admin.register(DatasetSnapshot)
class DatasetSnapshotAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["name", "project", "content_hash", "created_at"]
    list_filter = ["project"]
    list_select_related = ["project"]
