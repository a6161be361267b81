"""What was brought in from elsewhere."""

from django.conf import settings
from django.db import models

from sampling.models.prompts import PromptSet


class PromptImport(models.Model):
    """What one file brought: kept so that every rejected line can be read later, by number and reason."""

    prompt_set = models.ForeignKey(PromptSet, on_delete=models.CASCADE, related_name="imports")
    file_name = models.CharField(max_length=255)
    added = models.PositiveIntegerField(default=0)
    rejected = models.JSONField(default=list, help_text='A list of {"line", "reason", "content"}.')
    rejected_count = models.PositiveIntegerField(default=0, help_text="All bad lines; only the first are listed.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-created_at"]
