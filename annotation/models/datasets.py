"""Frozen datasets, the work of freezing them, and the files that are made of them."""

import uuid

from django.conf import settings as site
from django.db import models
from django.db.models import Exists, OuterRef
from django.urls import reverse

from annotation.models.judgments import Judgment
from annotation.models.projects import Project
from annotation.models.withdrawals import WithdrawnWork
from sampling.long_tasks import LongTask, LongTaskQuerySet, TaskState


class DatasetSnapshotQuerySet(models.QuerySet):
    def with_withdrawn(self):
        """Adds ``has_withdrawn``: somebody whose judgments it holds has withdrawn their work since."""
        withdrawn = WithdrawnWork.objects.filter(annotator__judgments__snapshots=OuterRef("pk"))
        return self.annotate(has_withdrawn=Exists(withdrawn))


class DatasetSnapshot(models.Model):
    """A frozen, hashed list of judgments. An export is a view of it: the same snapshot, the same bytes."""

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="snapshots", help_text="Where it is kept and who manages it."
    )
    projects = models.ManyToManyField(
        Project, related_name="+", help_text="Whose judgments it holds; none in those of earlier days: its own."
    )
    name = models.SlugField(max_length=80)
    judgments = models.ManyToManyField(Judgment, related_name="snapshots")
    kinds = models.JSONField(default=list, help_text="Which kinds of judge were let in.")
    settings = models.JSONField(default=dict, help_text="What else was chosen, and frozen with it: freezing.py.")
    hash_scheme = models.PositiveSmallIntegerField(default=1, help_text="How its hash is made: frozen.py.")
    content_hash = models.CharField(max_length=64)
    counts = models.JSONField(default=dict)
    request_key = models.UUIDField(default=uuid.uuid4, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(site.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    objects = DatasetSnapshotQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_snapshot_per_project_and_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("annotation:snapshot", args=[self.pk])


class SnapshotFreeze(LongTask):
    """A snapshot in the making: what was asked for; ``snapshot`` once it is frozen."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="freezes")
    name = models.SlugField(max_length=80)
    asked = models.JSONField(help_text="freezing.Choice, as JSON.")
    snapshot = models.OneToOneField(
        DatasetSnapshot, null=True, blank=True, on_delete=models.SET_NULL, related_name="freeze"
    )
    created_by = models.ForeignKey(site.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    objects = LongTaskQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("annotation:snapshot_freeze", args=[self.pk])


class SnapshotExport(LongTask):
    """One view of a snapshot as files: made once, kept in the data folder, downloaded as often as one likes."""

    # Once more: where its files are gone, or for one more push to a hub.
    TRANSITIONS = {**LongTask.TRANSITIONS, TaskState.FINISHED: (TaskState.QUEUED,)}

    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.CASCADE, related_name="exports")
    layout = models.CharField(max_length=30, help_text="A key of datasets/layouts: whose columns the rows have.")
    rows = models.CharField(max_length=12, help_text="export_rows.Rows: each judgment's pairs, or aggregated ones.")
    file_type = models.CharField(max_length=8, help_text="jsonl or parquet.")
    has_rationales = models.BooleanField(default=False, help_text="Free text may name people: only where asked.")
    licence = models.CharField(
        max_length=60, blank=True, help_text="On its card: a key of the hub's list; or not said."
    )
    hub_id = models.CharField(max_length=200, blank=True, help_text="Pushed to this dataset of a hub; else kept here.")
    is_private = models.BooleanField(default=True, help_text="Of a dataset that the push makes on the hub.")
    files = models.JSONField(default=list, help_text='What was written: [{"name", "bytes", "sha256", "rows"}].')
    created_by = models.ForeignKey(site.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    objects = LongTaskQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["snapshot", "layout", "rows", "file_type", "has_rationales", "licence", "hub_id"],
                name="one_export_per_snapshot_and_view",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.snapshot}, {self.layout} as {self.file_type}"

    def get_absolute_url(self) -> str:
        return reverse("annotation:snapshot_export", args=[self.pk])
