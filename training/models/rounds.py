"""Rounds and their stages."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from annotation.models import DatasetSnapshot
from sampling.lifecycle import Lifecycle
from sampling.long_tasks import LongTask, LongTaskQuerySet, TaskState
from sampling.models import ModelVersion
from training.models.demonstrations import DemonstrationSet


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
    recipe = models.JSONField(help_text="The resolved recipe of this round: every value that was used.")
    schedule = models.JSONField(default=dict, help_text="The resolved recipe with what it says of other rounds too.")
    changes = models.JSONField(default=dict, blank=True, help_text="What was laid over the recipe's file, by section.")
    seed = models.PositiveIntegerField(default=17)
    number = models.PositiveSmallIntegerField(default=1, help_text="Which round of its schedule it is, from 1.")
    previous = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="continued_by",
        help_text="The round of the schedule before this one.",
    )  # fmt: skip
    cloned_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="clones",
        help_text="The round whose settings this one began with.",
    )  # fmt: skip
    demonstrations = models.ForeignKey(
        DemonstrationSet, null=True, blank=True, on_delete=models.PROTECT, related_name="rounds",
        help_text="What SFT learns from, where the round has that stage.",
    )  # fmt: skip
    policy = models.OneToOneField(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="round_to",
        help_text="The policy that the round made.",
    )  # fmt: skip
    gate_report = models.JSONField(null=True, blank=True, help_text='{"passed", "conditions": [...]}')
    overruled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="Who published the policy although the gate had not passed.",
    )  # fmt: skip
    overruled_at = models.DateTimeField(null=True, blank=True)
    overrule_reason = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    objects = TrainingRoundQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(previous__isnull=True, number=1) | models.Q(previous__isnull=False, number__gt=1),
                name="the_first_round_of_a_schedule_follows_none",
            ),
            models.CheckConstraint(
                condition=models.Q(overruled_by__isnull=True, overruled_at__isnull=True, overrule_reason="")
                | (models.Q(overruled_by__isnull=False, overruled_at__isnull=False) & ~models.Q(overrule_reason="")),
                name="a_gate_is_overruled_by_someone_for_a_reason",
            ),
        ]

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

    def earlier(self) -> list["TrainingRound"]:
        """The rounds of the schedule before this one, the first one first."""
        rounds: list[TrainingRound] = []
        round = self.previous
        while round is not None:
            rounds.insert(0, round)
            round = round.previous
        return rounds


class StageState(models.TextChoices):
    PENDING = "pending", "pending"
    RUNNING = "running", "running"
    FINISHED = "finished", "finished"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class StageKind(models.TextChoices):
    """In the order in which a round runs them."""

    CHECK = "check", "check of the data"
    DEMONSTRATIONS = "demonstrations", "SFT on demonstrations"
    REWARD_MODEL = "reward_model", "reward model"
    JUDGE_MODEL = "judge_model", "judge model"
    REJECTION_SAMPLING = "rejection_sampling", "rejection sampling"
    SFT = "sft", "SFT on what was kept"
    DPO = "dpo", "DPO"
    EVALUATE = "evaluate", "evaluation"
    HARNESS = "harness", "what was forgotten"


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
    told = models.JSONField(default=dict, help_text="What the program was told: its inputs, its values, the seed.")
    provenance = models.JSONField(
        null=True, blank=True, help_text="Code, libraries, hardware and settings that the program ran with."
    )
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
