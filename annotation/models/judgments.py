"""Leases, and the judgments that come of them."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse
from django.utils import timezone

from annotation.models.comparisons import Comparison, Purpose, Slot
from annotation.models.members import JudgeKind
from annotation.models.projects import GuidelinesVersion
from annotation.models.withdrawals import WithdrawnWork
from sampling.lifecycle import Lifecycle
from sampling.models import DataImport


class AssignmentState(models.TextChoices):
    HELD = "held", "held"
    SUBMITTED = "submitted", "submitted"
    SKIPPED = "skipped", "skipped"
    EXPIRED = "expired", "expired"


class AssignmentPurpose(models.TextChoices):
    """Why a comparison was handed out: what the comparison is for, or to decide what others disagree on."""

    WORK = Purpose.WORK.value, "work"
    GOLD = Purpose.GOLD.value, "gold"
    QUALIFICATION = Purpose.QUALIFICATION.value, "qualification"
    TRAINING = Purpose.TRAINING.value, "training"
    REVIEW = "review", "review"


class Assignment(Lifecycle):
    """A lease: this annotator holds this slot, sees the completions in this order, until then.

    Only work has a slot. What everybody is to judge (gold, qualification, training) and what a reviewer decides
    is outside the queue: nobody else waits for it, and its lease never runs out.
    """

    TRANSITIONS = {
        AssignmentState.HELD: (AssignmentState.SUBMITTED, AssignmentState.SKIPPED, AssignmentState.EXPIRED),
        AssignmentState.SUBMITTED: (),
        AssignmentState.SKIPPED: (),
        AssignmentState.EXPIRED: (),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=AssignmentState, default=AssignmentState.HELD)
    purpose = models.CharField(max_length=15, choices=AssignmentPurpose, default=AssignmentPurpose.WORK)
    slot = models.ForeignKey(Slot, null=True, blank=True, on_delete=models.CASCADE, related_name="assignments")
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="assignments", db_index=False
    )
    display_order = ArrayField(models.BigIntegerField(), help_text="Completion ids as shown, first to last.")
    leased_until = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    draft = models.JSONField(null=True, blank=True, help_text="The answer as it stood when last saved.")
    skip_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "annotator"],
                condition=~models.Q(state="expired") & ~models.Q(purpose="review"),
                name="one_live_assignment_per_annotator_and_comparison",
            ),
            models.UniqueConstraint(
                fields=["comparison", "annotator"],
                condition=~models.Q(state="expired") & models.Q(purpose="review"),
                name="one_live_review_per_reviewer_and_comparison",
            ),
            models.UniqueConstraint(
                fields=["slot"], condition=models.Q(state="held"), name="one_held_assignment_per_slot"
            ),
            models.UniqueConstraint(
                fields=["slot"], condition=models.Q(state="submitted"), name="one_submitted_assignment_per_slot"
            ),
            models.CheckConstraint(
                condition=models.Q(purpose="work", slot__isnull=False)
                | (~models.Q(purpose="work") & models.Q(slot__isnull=True)),
                name="only_work_has_a_slot",
            ),
        ]
        indexes = [
            models.Index(fields=["annotator", "-created_at"], name="assignments_of_annotator"),
            models.Index(fields=["annotator"], condition=models.Q(state="held"), name="held_assignments_of_annotator"),
        ]

    def get_absolute_url(self) -> str:
        return reverse("annotation:assignment", args=[self.pk])


class JudgmentQuerySet(models.QuerySet):
    def current(self):
        """Only the newest revision of each judgment."""
        # As an anti-join: of an outer join that finds nothing PostgreSQL expects one row, and plans for that.
        return self.filter(~models.Exists(Judgment.objects.filter(supersedes=models.OuterRef("pk"))))

    def of_work(self):
        """Only what may become data: of work not withdrawn, by annotators, by a reviewer's decision, or imported."""
        # By the assignment too: what was given as gold, by everybody, is no data when that becomes work again.
        given_as = [AssignmentPurpose.WORK, AssignmentPurpose.REVIEW]
        return self.filter(
            models.Q(assignment__purpose__in=given_as) | models.Q(kind=JudgeKind.IMPORTED),
            ~models.Exists(WithdrawnWork.objects.filter(annotator=models.OuterRef("annotator"))),
            comparison__purpose=Purpose.WORK,
            comparison__withdrawn_at__isnull=True,
        )

    def by_annotators(self):
        """No reviewers' decisions: for agreement, where a decision is not one more opinion."""
        return self.filter(is_decision=False)


class Judgment(models.Model):
    """One annotator's ranking of one comparison. Never edited: a correction is a revision that supersedes it."""

    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="judgments")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgments")
    assignment = models.ForeignKey(
        Assignment, null=True, blank=True, on_delete=models.PROTECT, related_name="judgments",
        help_text="The lease that it came of; none for an imported one.",
    )  # fmt: skip
    data_import = models.ForeignKey(
        DataImport, null=True, blank=True, on_delete=models.PROTECT, related_name="judgments", db_index=False
    )
    source = models.JSONField(
        default=dict, blank=True, help_text="Of an imported one: what the source says of who judged, and its own id."
    )
    kind = models.CharField(max_length=10, choices=JudgeKind)
    is_decision = models.BooleanField(
        default=False, help_text="A reviewer's, which takes precedence over the annotators' judgments."
    )
    ranking = models.JSONField(help_text="Groups of completion ids, best first; ids in one group are tied.")
    strengths = models.JSONField(default=list, help_text="One strength between each two neighbouring groups.")
    marks = models.JSONField(
        default=dict, blank=True, help_text="By completion id: safety, aspects and defects, as far as they were asked."
    )
    all_bad = models.BooleanField(default=False, help_text="The annotator found every completion bad.")
    rationale = models.TextField(blank=True)
    seconds_spent = models.FloatField(null=True, blank=True)
    guidelines_version = models.ForeignKey(
        GuidelinesVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="judgments",
        help_text="What was in force when it was given.",
    )  # fmt: skip
    revision = models.PositiveIntegerField(default=1)
    supersedes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_by"
    )
    request_key = models.UUIDField(unique=True, help_text="A repeated submit with one key is one judgment.")
    created_at = models.DateTimeField(default=timezone.now, help_text="When it was given: also an imported one.")

    objects = JudgmentQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["created_at"], name="judgments_by_time"),  # for a project's pace
            models.Index(
                fields=["data_import"], condition=models.Q(data_import__isnull=False), name="judgments_of_an_import"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["assignment", "revision"], name="one_judgment_per_assignment_and_revision"),
            models.CheckConstraint(
                condition=models.Q(revision=1, supersedes__isnull=True)
                | models.Q(revision__gt=1, supersedes__isnull=False),
                name="only_a_later_revision_supersedes",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="imported", assignment__isnull=True, data_import__isnull=False)
                | (~models.Q(kind="imported") & models.Q(assignment__isnull=False, data_import__isnull=True)),
                name="a_judgment_is_of_an_assignment_or_imported",
            ),
            models.UniqueConstraint(
                fields=["comparison", "annotator", "revision"],
                condition=models.Q(kind="imported"),
                name="one_imported_judgment_per_annotator_and_revision",
            ),
        ]
