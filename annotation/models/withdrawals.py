"""Annotators whose work is not to be used any more."""

from django.conf import settings
from django.db import models


class WithdrawnWork(models.Model):
    """One annotator's work is withdrawn: from then on it becomes no data.

    Their judgments stay on record, because frozen snapshots hold them; those snapshots and the model versions that
    learned from them are marked.
    """

    annotator = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="withdrawn_work")
    reason = models.CharField(max_length=1000)
    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-at"]
