"""Prompts, model versions and what they wrote."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse

from sampling.long_tasks import LongTask, LongTaskQuerySet

MAX_TEMPERATURE = 2.0  # that of the endpoints' interface; the engine and the recipes have the same one


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

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["prompt_set", "content_hash"], name="one_prompt_per_set_and_content"),
        ]

    def __str__(self) -> str:
        return self.messages[-1]["content"][:80] if self.messages else "(empty)"


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


class CompletionQuerySet(models.QuerySet):
    def newest(self, count: int):
        """The last ``count`` completions, newest first, with what a page shows of them."""
        return self.select_related("prompt", "model_version").order_by("-pk")[:count]


class Origin(models.TextChoices):
    MODEL = "model", "model"
    PERSON = "person", "person"


class Completion(models.Model):
    """One model output, or a person's edit of one. Never edited itself.

    A person's has no run and no model, so that whatever counts a run's completions counts the model's own.
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

    objects = CompletionQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "model_version", "prompt", "index"],
                name="one_completion_per_run_model_prompt_and_index",
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
                ),
                name="a_completion_is_of_a_run_or_a_persons_edit",
            ),
        ]  # fmt: skip
