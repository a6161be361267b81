"""Projects: what is asked of annotators, by which guidelines, and the record of who changed it."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from annotation.rules.protocol import MAX_COMPLETIONS, Aspect, Defect, StrengthScale, aspects_of, defects_of


class ProjectQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Every project for staff, one's own for everybody else."""
        return self.all() if user.is_staff else self.filter(memberships__user=user)


class Rationale(models.TextChoices):
    OFF = "off", "not asked"
    OPTIONAL = "optional", "optional"
    REQUIRED = "required", "required"


def _percent(default: int, help_text: str, lowest: int = 0) -> models.PositiveSmallIntegerField:
    return models.PositiveSmallIntegerField(
        default=default, validators=[MinValueValidator(lowest), MaxValueValidator(100)], help_text=help_text
    )


class Project(models.Model):
    """What is asked of annotators, and of how many of them."""

    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    guidelines_version = models.ForeignKey(
        "GuidelinesVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="current_in"
    )

    # What is asked (protocol.py). A preset fills these in; they alone count.
    preset = models.CharField(max_length=40, blank=True, help_text="The published form that it began with, if any.")
    completions_per_comparison = models.PositiveSmallIntegerField(
        default=4, validators=[MinValueValidator(2), MaxValueValidator(MAX_COMPLETIONS)],
        help_text="K: 2 is a pairwise comparison, more is a ranking.",
    )  # fmt: skip
    allow_ties = models.BooleanField(default=True)
    strength_scale = models.CharField(
        max_length=20, default=StrengthScale.LLAMA2.value,
        choices=[(scale.value, scale.value) for scale in StrengthScale],
    )  # fmt: skip
    ask_safety = models.BooleanField(default=False, help_text="Each completion is marked as safe or unsafe.")
    aspects = models.JSONField(default=list, blank=True, help_text="Rated for each completion: protocol.Aspect.")
    defects = models.JSONField(default=list, blank=True, help_text="Ticked for each completion: protocol.Defect.")
    rationale = models.CharField(max_length=10, choices=Rationale, default=Rationale.OPTIONAL)
    allow_all_bad = models.BooleanField(default=False, help_text='Offer "all are bad" as an answer.')
    allow_edits = models.BooleanField(default=False, help_text="Let annotators write a better answer.")
    show_length = models.BooleanField(default=False, help_text="Show how many words each completion has.")

    # Of how many, and by whom.
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="How many annotators judge each comparison.",
    )  # fmt: skip
    overlap_percent = _percent(
        100, "The share of comparisons, chosen at random, that get this overlap; the rest get one judgment.", 1
    )
    lease_seconds = models.PositiveIntegerField(
        default=600, validators=[MinValueValidator(30)], help_text="How long an opened comparison stays reserved."
    )
    gold_percent = _percent(0, "How many in a hundred comparisons have a known answer, as long as there are any.")
    qualification_percent = _percent(80, "How many in a hundred pairs of the qualification set must be right.")
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

    @property
    def guidelines(self) -> str:
        """The text in force; empty when there is none."""
        return self.guidelines_version.text if self.guidelines_version else ""

    @property
    def scale(self) -> StrengthScale:
        return StrengthScale(self.strength_scale)

    @property
    def asks_strength(self) -> bool:
        return self.scale != StrengthScale.NONE

    @property
    def asked_aspects(self) -> list[Aspect]:
        return aspects_of(self.aspects)

    @property
    def asked_defects(self) -> list[Defect]:
        return defects_of(self.defects)


class GuidelinesVersion(models.Model):
    """The guidelines as they stood from then on. Never edited: a change is another version."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines_versions")
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True, help_text="Markdown, shown beside every comparison.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_guidelines_version_per_project_and_number"),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class ProjectChange(models.Model):
    """One change of a project, on record: who, when, of what, from what to what. Only ever added to."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(auto_now_add=True)
    who = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    what = models.CharField(max_length=40, help_text='The kind of change: "settings", "guidelines", "membership" ...')
    subject = models.CharField(max_length=200, help_text="The setting, the member or the thing that was changed.")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["project", "-id"], name="changes_of_a_project_by_time")]
