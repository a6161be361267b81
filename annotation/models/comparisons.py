"""Comparisons, the slots in which their judgments are missing, and what annotators flagged in them."""

from django.conf import settings
from django.db import models

from annotation.models.projects import Project
from sampling.models import Completion, DataImport, Prompt


class Purpose(models.TextChoices):
    """What a comparison is for. Only work yields data; the others are judged by everybody, outside the queue."""

    WORK = "work", "work"
    GOLD = "gold", "gold"  # a known answer, mixed in without being recognisable
    QUALIFICATION = "qualification", "qualification"  # before real work
    TRAINING = "training", "training"  # with feedback after the answer


class ComparisonQuerySet(models.QuerySet):
    def work(self):
        """Those that yield data: no gold, no qualification, no training, nothing withdrawn."""
        return self.filter(purpose=Purpose.WORK, withdrawn_at__isnull=True)


class Comparison(models.Model):
    """A prompt with K completions to be ranked: the unit of annotation work."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="comparisons")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="comparisons")
    completions = models.ManyToManyField(Completion, related_name="comparisons")
    content_key = models.CharField(max_length=64, help_text="SHA-256 of the completions' ids: opened once.")
    priority = models.SmallIntegerField(default=0, help_text="Higher comes first.")
    group = models.CharField(max_length=40, blank=True, help_text="Only members of this group get it; empty: all.")
    wanted = models.PositiveSmallIntegerField(default=1, help_text="How many judgments it is to have.")
    wanted_at_least = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How many a reviewer asked for: no change of the overlap makes it fewer."
    )
    purpose = models.CharField(max_length=15, choices=Purpose, default=Purpose.WORK)
    known_ranking = models.JSONField(
        null=True, blank=True, help_text="The right answer: groups of completion ids, best first."
    )
    explanation = models.TextField(blank=True, help_text="Why the known answer is right; the feedback in training.")
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="Since then it is in no queue and in no data.")
    data_import = models.ForeignKey(
        DataImport, null=True, blank=True, on_delete=models.PROTECT, related_name="comparisons", db_index=False,
        help_text="What brought it, judged already: it wants no judgment of ours, and has no slot.",
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "content_key"], name="one_comparison_per_project_and_completions"
            ),
            models.CheckConstraint(
                condition=models.Q(purpose="work") | models.Q(known_ranking__isnull=False),
                name="whatever_is_not_work_has_a_known_answer",
            ),
        ]
        indexes = [
            models.Index(
                fields=["project", "purpose"], condition=~models.Q(purpose="work"), name="comparisons_with_known_answer"
            ),
            models.Index(
                fields=["data_import"], condition=models.Q(data_import__isnull=False), name="comparisons_of_an_import"
            ),
        ]


class SlotQuerySet(models.QuerySet):
    def open(self):
        """Those whose judgment is missing: what the queue hands out, and what is left to do."""
        return self.filter(is_filled=False, is_parked=False)


class Slot(models.Model):
    """One missing judgment of a comparison. An open slot has no judgment; it is free when no lease holds it.

    A parked slot is one too many: its comparison has as many as it wants, or is out of the queue. Nobody is given it.
    It stays because somebody had it, or has it: whoever held it when it was parked may still answer.
    """

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="slots")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="slots")  # for the queue's index
    number = models.PositiveSmallIntegerField(help_text="1 to as many judgments as the comparison is to have.")
    priority = models.SmallIntegerField(default=0)  # the comparison's, for the index
    group = models.CharField(max_length=40, blank=True)  # the comparison's, for the index
    is_filled = models.BooleanField(default=False)
    is_parked = models.BooleanField(default=False, db_default=False)
    free_from = models.DateTimeField(help_text="In the future while somebody holds the slot.")

    objects = SlotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["comparison", "number"], name="one_slot_per_comparison_and_number"),
        ]
        indexes = [
            models.Index(
                fields=["project", "group", "-priority", "number", "id"],
                condition=models.Q(is_filled=False, is_parked=False),  # as in SlotQuerySet.open
                name="open_slots_of_a_group_in_order",
            ),
        ]


class Flag(models.Model):
    """What an annotator wants a manager to look at. Open until somebody resolves it."""

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="flags")
    raised_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="flags")
    note = models.CharField(max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    resolution = models.CharField(max_length=1000, blank=True, help_text="What was done, for who raised it.")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "raised_by"], condition=models.Q(resolved_at__isnull=True),
                name="one_open_flag_per_comparison_and_annotator",
            ),
        ]  # fmt: skip
