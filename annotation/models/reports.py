"""The figures of a project that cost too much to be computed while somebody waits for a page."""

from django.db import models

from annotation.models.projects import Project


class ProjectReport(models.Model):
    """Agreement and annotators' figures as they were last computed, and when they were asked for."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="report")
    content = models.JSONField(default=dict)
    judgments = models.PositiveIntegerField(default=0, help_text="How many judgments it was computed from.")
    computed_at = models.DateTimeField(null=True, blank=True)
    requested_at = models.DateTimeField(null=True, blank=True, help_text="Set while a computation is under way.")
    error = models.TextField(blank=True)
