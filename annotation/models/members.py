"""Who belongs to a project, as what, and how they are invited."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from annotation.models.projects import GuidelinesVersion, Project


class Role(models.TextChoices):
    ANNOTATOR = "annotator", "annotator"
    REVIEWER = "reviewer", "reviewer"
    MANAGER = "manager", "manager"


class JudgeKind(models.TextChoices):
    PERSON = "person", "person"
    SIMULATED = "simulated", "simulated annotator"
    MODEL = "model", "model judge"
    IMPORTED = "imported", "imported"  # judged elsewhere; who or what by is in the judgment's ``source``


class Qualification(models.TextChoices):
    """Whether a member may do real work in a project that has a qualification set."""

    PENDING = "pending", "not finished"
    PASSED = "passed", "passed"
    FAILED = "failed", "failed"
    WAIVED = "waived", "waived"


class Membership(models.Model):
    """Who may do what in a project, and what kind of judge they are there."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.ANNOTATOR)
    kind = models.CharField(max_length=10, choices=JudgeKind, default=JudgeKind.PERSON)
    groups = ArrayField(
        models.CharField(max_length=40), default=list, blank=True,
        help_text="The groups of comparisons that are theirs to take, beside those of no group.",
    )  # fmt: skip
    qualification = models.CharField(max_length=10, choices=Qualification, default=Qualification.PENDING)
    guidelines_read = models.ForeignKey(
        GuidelinesVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+",
        help_text="The newest version that they said they have read.",
    )  # fmt: skip
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="one_membership_per_project_and_user"),
        ]


class Invitation(models.Model):
    """A link by which people join a project. Only the link's hash is kept: it is shown once."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    token_hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the link's secret part.")
    role = models.CharField(max_length=10, choices=Role, default=Role.ANNOTATOR)
    groups = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    max_uses = models.PositiveIntegerField(default=1)
    uses = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(uses__lte=models.F("max_uses")), name="no_invitation_is_used_more_often_than_allowed"
            ),
        ]
