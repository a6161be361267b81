"""Sampling runs."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from sampling.long_tasks import LongTask, LongTaskQuerySet
from sampling.models.prompts import PromptSet, Split
from sampling.models.versions import ModelVersion

MAX_TEMPERATURE = 2.0  # that of the endpoints' interface; the engine and the recipes have the same one


class SamplingRun(LongTask):
    """n completions per prompt of a set, from each of these policies, with these sampling parameters."""

    name = models.CharField(max_length=120)
    prompt_set = models.ForeignKey(PromptSet, on_delete=models.PROTECT, related_name="sampling_runs")
    split = models.CharField(max_length=5, choices=Split, blank=True, help_text="Empty: both splits.")
    prompt_limit = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Only the first so many prompts."
    )
    policies = models.ManyToManyField(ModelVersion, related_name="sampling_runs")
    n = models.PositiveSmallIntegerField(default=4, validators=[MinValueValidator(1), MaxValueValidator(64)])
    temperature = models.FloatField(
        default=1.0, validators=[MinValueValidator(0.0), MaxValueValidator(MAX_TEMPERATURE)]
    )
    top_p = models.FloatField(default=1.0, validators=[MinValueValidator(0.01), MaxValueValidator(1.0)])
    max_tokens = models.PositiveIntegerField(default=256, validators=[MinValueValidator(1), MaxValueValidator(32768)])
    seed = models.PositiveIntegerField(default=17)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    tokens_per_second = models.FloatField(null=True, blank=True)
    skipped = models.JSONField(default=list, help_text='Prompts left out: a list of {"prompt_id", "reason"}.')

    objects = LongTaskQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("sampling:sampling_run", args=[self.pk])

    def prompts(self):
        """The prompts that this run covers, in a stable order."""
        prompts = self.prompt_set.prompts.order_by("pk")
        if self.split:
            prompts = prompts.filter(split=self.split)
        return prompts[: self.prompt_limit] if self.prompt_limit else prompts

    @property
    def run_dir(self):
        return settings.VAR_DIR / "sampling-runs" / self.folder_name
