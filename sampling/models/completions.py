"""What models wrote, and people's edits of it."""

from django.conf import settings
from django.db import models

from sampling.models.prompts import Prompt
from sampling.models.runs import SamplingRun
from sampling.models.versions import ModelVersion


class CompletionQuerySet(models.QuerySet):
    def newest(self, count: int):
        """The last ``count`` completions, newest first, with what a page shows of them."""
        return self.select_related("prompt", "model_version").order_by("-pk")[:count]


class Origin(models.TextChoices):
    MODEL = "model", "model"
    PERSON = "person", "person"
    IMPORTED = "imported", "imported"


class Completion(models.Model):
    """One model output, a person's edit of one, or what was written elsewhere and imported. Never edited itself.

    Only a model's has a run and a model, so that whatever counts a run's completions counts the model's own.
    """

    origin = models.CharField(max_length=10, choices=Origin, default=Origin.MODEL)
    run = models.ForeignKey(SamplingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="completions")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="completions")
    model_version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="completions"
    )
    edit_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="edits")
    written_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    index = models.PositiveSmallIntegerField(default=0)
    text = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(null=True, blank=True, help_text="Unknown for what a person wrote.")
    finish_reason = models.CharField(max_length=20)
    created_at = models.DateTimeField(auto_now_add=True)
    data_import = models.ForeignKey(
        "DataImport", null=True, blank=True, on_delete=models.PROTECT, related_name="completions", db_index=False
    )
    written_by_model = models.CharField(
        max_length=200, blank=True, help_text="Of an imported one: the source's name for who or what wrote it."
    )
    import_key = models.CharField(
        max_length=64, blank=True, help_text="Of an imported one: SHA-256 of writer and text, to find it again."
    )

    objects = CompletionQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "model_version", "prompt", "index"],
                name="one_completion_per_run_model_prompt_and_index",
            ),
            models.UniqueConstraint(
                fields=["prompt", "import_key"],
                condition=models.Q(origin="imported"),
                name="one_imported_completion_per_prompt_and_content",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    origin="model",
                    run__isnull=False,
                    model_version__isnull=False,
                    tokens__isnull=False,
                    edit_of__isnull=True,
                )
                | models.Q(
                    origin="person",
                    run__isnull=True,
                    model_version__isnull=True,
                    edit_of__isnull=False,
                    written_by__isnull=False,
                )
                | models.Q(
                    origin="imported",
                    run__isnull=True,
                    model_version__isnull=True,
                    edit_of__isnull=True,
                    data_import__isnull=False,
                ),
                name="a_completion_is_of_a_run_or_a_persons_edit_or_imported",
            ),
        ]
        indexes = [
            models.Index(
                fields=["data_import"], condition=models.Q(data_import__isnull=False), name="completions_of_an_import"
            ),
        ]
