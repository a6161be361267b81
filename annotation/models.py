"""Projects, comparisons, the queue's slots, leases, judgments and frozen datasets."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from sampling.lifecycle import Lifecycle
from sampling.models import Completion, Prompt


class ProjectQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Every project for staff, one's own for everybody else."""
        return self.all() if user.is_staff else self.filter(memberships__user=user)


class Project(models.Model):
    """What is asked of annotators, and of how many of them."""

    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    guidelines = models.TextField(blank=True, help_text="Markdown, shown beside every comparison.")
    allow_ties = models.BooleanField(default=True)
    ask_strength = models.BooleanField(default=True, help_text="Ask how much better, between neighbours.")
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="How many annotators judge each comparison.",
    )  # fmt: skip
    lease_seconds = models.PositiveIntegerField(
        default=600, validators=[MinValueValidator(30)], help_text="How long an opened comparison stays reserved."
    )
    is_paused = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("annotation:project", args=[self.slug])


class Role(models.TextChoices):
    ANNOTATOR = "annotator", "annotator"
    REVIEWER = "reviewer", "reviewer"
    MANAGER = "manager", "manager"


class JudgeKind(models.TextChoices):
    PERSON = "person", "person"
    SIMULATED = "simulated", "simulated annotator"
    MODEL = "model", "model judge"


class Membership(models.Model):
    """Who may do what in a project, and what kind of judge they are there."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.ANNOTATOR)
    kind = models.CharField(max_length=10, choices=JudgeKind, default=JudgeKind.PERSON)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="one_membership_per_project_and_user"),
        ]


class Comparison(models.Model):
    """A prompt with K completions to be ranked: the unit of annotation work."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="comparisons")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="comparisons")
    completions = models.ManyToManyField(Completion, related_name="comparisons")
    content_key = models.CharField(max_length=64, help_text="SHA-256 of the completions' ids: opened once.")
    priority = models.SmallIntegerField(default=0, help_text="Higher comes first.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "content_key"], name="one_comparison_per_project_and_completions"
            ),
        ]


class Slot(models.Model):
    """One missing judgment of a comparison. An open slot has no judgment; it is free when no lease holds it."""

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="slots")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="slots")  # for the queue's index
    number = models.PositiveSmallIntegerField(help_text="1 to the project's overlap.")
    priority = models.SmallIntegerField(default=0)
    is_filled = models.BooleanField(default=False)
    free_from = models.DateTimeField(help_text="In the future while somebody holds the slot.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comparison", "number"], name="one_slot_per_comparison_and_number"),
        ]
        indexes = [
            models.Index(
                fields=["project", "-priority", "number", "id"],
                condition=models.Q(is_filled=False),
                name="open_slots_in_queue_order",
            ),
        ]


class AssignmentState(models.TextChoices):
    HELD = "held", "held"
    SUBMITTED = "submitted", "submitted"
    SKIPPED = "skipped", "skipped"
    EXPIRED = "expired", "expired"


class Assignment(Lifecycle):
    """A lease: this annotator holds this slot, sees the completions in this order, until then."""

    TRANSITIONS = {
        AssignmentState.HELD: (AssignmentState.SUBMITTED, AssignmentState.SKIPPED, AssignmentState.EXPIRED),
        AssignmentState.SUBMITTED: (),
        AssignmentState.SKIPPED: (),
        AssignmentState.EXPIRED: (),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=AssignmentState, default=AssignmentState.HELD)
    slot = models.ForeignKey(Slot, on_delete=models.CASCADE, related_name="assignments")
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assignments")
    display_order = ArrayField(models.BigIntegerField(), help_text="Completion ids as shown, first to last.")
    leased_until = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    draft = models.JSONField(null=True, blank=True, help_text="The answer as it stood when last saved.")
    skip_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "annotator"],
                condition=~models.Q(state="expired"),
                name="one_live_assignment_per_annotator_and_comparison",
            ),
            models.UniqueConstraint(
                fields=["slot"], condition=models.Q(state="held"), name="one_held_assignment_per_slot"
            ),
            models.UniqueConstraint(
                fields=["slot"], condition=models.Q(state="submitted"), name="one_submitted_assignment_per_slot"
            ),
        ]

    def get_absolute_url(self) -> str:
        return reverse("annotation:assignment", args=[self.pk])


class JudgmentQuerySet(models.QuerySet):
    def current(self):
        """Only the newest revision of each judgment."""
        return self.filter(superseded_by__isnull=True)


class Judgment(models.Model):
    """One annotator's ranking of one comparison. Never edited: a correction is a revision that supersedes it."""

    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="judgments")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgments")
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="judgments")
    kind = models.CharField(max_length=10, choices=JudgeKind)
    ranking = models.JSONField(help_text="Groups of completion ids, best first; ids in one group are tied.")
    strengths = models.JSONField(default=list, help_text="One strength between each two neighbouring groups.")
    rationale = models.TextField(blank=True)
    seconds_spent = models.FloatField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1)
    supersedes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_by"
    )
    request_key = models.UUIDField(unique=True, help_text="A repeated submit with one key is one judgment.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = JudgmentQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "annotator", "revision"],
                name="one_judgment_per_annotator_comparison_and_revision",
            ),
            models.CheckConstraint(
                condition=models.Q(revision=1, supersedes__isnull=True)
                | models.Q(revision__gt=1, supersedes__isnull=False),
                name="only_a_later_revision_supersedes",
            ),
        ]


class DatasetSnapshot(models.Model):
    """A frozen, hashed list of judgments. An export is a view of it: the same snapshot, the same bytes."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="snapshots")
    name = models.SlugField(max_length=80)
    judgments = models.ManyToManyField(Judgment, related_name="snapshots")
    kinds = models.JSONField(default=list, help_text="Which kinds of judge were let in.")
    content_hash = models.CharField(max_length=64)
    counts = models.JSONField(default=dict)
    request_key = models.UUIDField(default=uuid.uuid4, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_snapshot_per_project_and_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("annotation:snapshot", args=[self.pk])
