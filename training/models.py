"""Rounds and their stages."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from annotation.models import DatasetSnapshot
from sampling.lifecycle import Lifecycle
from sampling.long_tasks import LongTask, LongTaskQuerySet, TaskState
from sampling.models import ModelVersion


class TrainingRoundQuerySet(LongTaskQuerySet):
    def for_list(self):
        """With what a row of the list shows."""
        return self.select_related("base_policy", "snapshot__project", "policy").prefetch_related("stages")

    def for_page(self):
        """With what a round's own page shows."""
        return self.for_list().select_related("created_by", "base_policy__parent")


class TrainingRound(LongTask):
    """One pass of the loop: from a base policy and a frozen snapshot to a better policy, by a recipe."""

    name = models.CharField(max_length=120, unique=True)
    base_policy = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="rounds_from")
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="rounds")
    recipe_name = models.CharField(max_length=120)
    recipe = models.JSONField(help_text="The resolved recipe: every value that was used.")
    seed = models.PositiveIntegerField(default=17)
    policy = models.OneToOneField(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="round_to",
        help_text="The policy that the round made.",
    )  # fmt: skip
    gate_report = models.JSONField(null=True, blank=True, help_text='{"passed", "conditions": [...]}')
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    objects = TrainingRoundQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("training:round", args=[self.pk])

    @property
    def run_dir(self):
        return settings.VAR_DIR / "rounds" / self.folder_name

    @property
    def evaluation(self) -> dict:
        """The result of the evaluation; empty while there is none."""
        return next((stage.result or {} for stage in self.stages.all() if stage.kind == StageKind.EVALUATE), {})


class StageState(models.TextChoices):
    PENDING = "pending", "pending"
    RUNNING = "running", "running"
    FINISHED = "finished", "finished"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class StageKind(models.TextChoices):
    REWARD_MODEL = "reward_model", "reward model"
    REJECTION_SAMPLING = "rejection_sampling", "rejection sampling"
    SFT = "sft", "SFT on what was kept"
    DPO = "dpo", "DPO"
    EVALUATE = "evaluate", "evaluation"


class StageQuerySet(models.QuerySet):
    def orphaned(self):
        """Left running by a lost worker, in a round that was given up since."""
        return self.filter(state=StageState.RUNNING, round__state__in=[TaskState.FAILED, TaskState.CANCELLED])


class Stage(Lifecycle):
    """One process of a round, with its own run directory. Finished stages are never run again."""

    TRANSITIONS = {
        StageState.PENDING: (StageState.RUNNING,),
        StageState.RUNNING: (
            StageState.FINISHED,
            StageState.FAILED,
            StageState.CANCELLED,
            StageState.RUNNING,  # its worker was lost, and another one starts it again
            StageState.PENDING,  # its worker ended and handed it back
        ),
        StageState.FAILED: (StageState.RUNNING,),
        StageState.CANCELLED: (StageState.RUNNING,),
        StageState.FINISHED: (),
    }

    round = models.ForeignKey(TrainingRound, on_delete=models.CASCADE, related_name="stages")
    kind = models.CharField(max_length=20, choices=StageKind)
    position = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=StageState, default=StageState.PENDING)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True, blank=True)
    failure = models.TextField(blank=True)
    model_version = models.OneToOneField(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="stage",
        help_text="The checkpoint that this stage made.",
    )  # fmt: skip

    objects = StageQuerySet.as_manager()

    class Meta:
        ordering = ["round", "position"]
        constraints = [
            models.UniqueConstraint(fields=["round", "kind"], name="one_stage_per_round_and_kind"),
            models.UniqueConstraint(fields=["round", "position"], name="one_stage_per_round_and_position"),
        ]

    @property
    def run_dir(self):
        return self.round.run_dir / f"{self.position}-{self.kind}"

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()
