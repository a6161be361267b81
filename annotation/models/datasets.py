"""Frozen datasets."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from annotation.models.judgments import Judgment
from annotation.models.projects import Project


class DatasetSnapshot(models.Model):
    """A frozen, hashed list of judgments. An export is a view of it: the same snapshot, the same bytes."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="snapshots")
    name = models.SlugField(max_length=80)
    judgments = models.ManyToManyField(Judgment, related_name="snapshots")
    kinds = models.JSONField(default=list, help_text="Which kinds of judge were let in.")
    content_hash = models.CharField(max_length=64)
    counts = models.JSONField(default=dict)
    request_key = models.UUIDField(default=uuid.uuid4, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_snapshot_per_project_and_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("annotation:snapshot", args=[self.pk])
