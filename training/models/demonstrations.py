"""Conversations to learn from by imitation, before any judgment."""

from django.conf import settings
from django.db import models
from django.urls import reverse


class DemonstrationSet(models.Model):
    """A file of conversations that end with the assistant. Its content is known by its hash and never edited."""

    name = models.CharField(max_length=120, unique=True)
    file_name = models.CharField(max_length=255, blank=True)
    location = models.CharField(max_length=500, help_text='A JSONL file of {"messages"} in the data folder.')
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of that file.")
    rows = models.PositiveIntegerField(default=0)
    rejected = models.JSONField(default=list, help_text='The first bad lines: a list of {"line", "reason", "content"}.')
    rejected_count = models.PositiveIntegerField(default=0)
    request_key = models.UUIDField(null=True, blank=True, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("training:demonstration_set", args=[self.pk])
