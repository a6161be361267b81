"""Prompts, in sets."""

from django.conf import settings
from django.db import models
from django.db.models import Count, Q
from django.urls import reverse


class Split(models.TextChoices):
    TRAIN = "train", "train"
    EVAL = "eval", "eval"


class PromptSetQuerySet(models.QuerySet):
    def with_counts(self):
        """Adds ``train_count`` and ``eval_count``: the prompts of each split."""
        return self.annotate(
            train_count=Count("prompts", filter=Q(prompts__split=Split.TRAIN)),
            eval_count=Count("prompts", filter=Q(prompts__split=Split.EVAL)),
        )


class PromptSet(models.Model):
    name = models.CharField(max_length=120, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    objects = PromptSetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("sampling:prompt_set", args=[self.pk])


class Prompt(models.Model):
    """Chat messages that end with the user's turn. The split is fixed at import and never changes."""

    prompt_set = models.ForeignKey(PromptSet, on_delete=models.CASCADE, related_name="prompts")
    messages = models.JSONField(help_text='A list of {"role", "content"}.')
    split = models.CharField(max_length=5, choices=Split, default=Split.TRAIN)
    metadata = models.JSONField(default=dict, blank=True)
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the messages, to find duplicates.")
    data_import = models.ForeignKey(
        "DataImport", null=True, blank=True, on_delete=models.PROTECT, related_name="prompts", db_index=False
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["prompt_set", "content_hash"], name="one_prompt_per_set_and_content"),
        ]
        indexes = [
            models.Index(
                fields=["data_import"], condition=models.Q(data_import__isnull=False), name="prompts_of_an_import"
            ),
        ]

    def __str__(self) -> str:
        return self.messages[-1]["content"][:80] if self.messages else "(empty)"
