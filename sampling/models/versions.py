"""Checkpoints."""

from django.db import models
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse


class ModelRole(models.TextChoices):
    POLICY = "policy", "policy"
    REWARD = "reward", "reward model"


class ModelVersionQuerySet(models.QuerySet):
    def policies(self):
        return self.filter(role=ModelRole.POLICY)

    def published(self):
        """Policies that may write candidates for people: imported ones, and those whose gate passed."""
        return self.policies().filter(published_at__isnull=False)

    def with_origin(self):
        """Fetches parent, and the stage and round that made each version. Training's tables, known by name only."""
        return self.select_related("parent", "stage__round")

    def with_completion_count(self):
        """Adds ``completion_count``: the candidates that each version wrote."""
        from sampling.models.completions import Completion  # which has a version

        mine = Completion.objects.filter(model_version=OuterRef("pk")).order_by().values("model_version")
        return self.annotate(completion_count=Coalesce(Subquery(mine.annotate(n=Count("pk")).values("n")), 0))


class ModelVersion(models.Model):
    """One usable checkpoint. Where a trained one came from is its Stage's to tell (training)."""

    name = models.CharField(max_length=120, unique=True)
    role = models.CharField(max_length=6, choices=ModelRole)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    location = models.CharField(max_length=500, help_text="A directory, or a hub id.")
    content_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the weights; empty for a hub id.")
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)
    notes = models.TextField(blank=True)

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role="policy") | models.Q(published_at__isnull=True),
                name="only_a_policy_is_published",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("sampling:model_version", args=[self.pk])
