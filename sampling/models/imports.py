"""What was brought in from elsewhere: each import, each row that was left out of it, and saved sets of filters."""

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.urls import reverse

from sampling.long_tasks import LongTask, LongTaskQuerySet, TaskState
from sampling.models.prompts import PromptSet


class Doing(models.TextChoices):
    """What a worker is to do with an import now, or did last."""

    LOOK = "look", "looking through it"  # what it is, its first rows, what filters and checks would leave out
    IMPORT = "import", "bringing it in"
    UNDO = "undo", "taking it out again"


class SourceKind(models.TextChoices):
    FILE = "file", "file"
    DIRECTORY = "directory", "directory"  # of the datasets library, or of files of one format
    HUB = "hub", "dataset of a hub"


class DataImport(LongTask):
    """One file, directory or hub dataset: where it lies, how it is read, and what came of its rows.

    First it is looked through, which writes nothing but ``seen``; then it is brought in, batch by batch, each in one
    transaction with ``next_row``, from which it goes on after an interruption; then it may be undone as a whole.
    """

    TRANSITIONS = {**LongTask.TRANSITIONS, TaskState.FINISHED: (TaskState.QUEUED,)}  # the next thing to be done

    what = models.CharField(max_length=20, help_text="What it brings: a key of settings.IMPORT_STORES.")
    doing = models.CharField(max_length=6, choices=Doing, default=Doing.LOOK)
    prompt_set = models.ForeignKey(PromptSet, on_delete=models.PROTECT, related_name="imports")
    name = models.CharField(max_length=255, help_text="What people know it by: the file's name, the dataset's id.")
    source_kind = models.CharField(max_length=9, choices=SourceKind, default=SourceKind.FILE)
    location = models.CharField(max_length=1000, help_text="A path, or a hub id.")
    is_uploaded = models.BooleanField(default=False, help_text="The file is ours: it lies in this import's folder.")
    source_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the file, once looked through.")
    options = models.JSONField(default=dict, help_text="How to read it: importing/options.py.")
    seen = models.JSONField(default=dict, help_text="What the last look found: importing/looking.py.")
    next_row = models.BigIntegerField(default=0, help_text="Rows dealt with so far.")
    prompts_added = models.PositiveIntegerField(default=0)
    completions_added = models.PositiveIntegerField(default=0)
    comparisons_added = models.PositiveIntegerField(default=0)
    judgments_added = models.PositiveIntegerField(default=0)
    known_count = models.PositiveIntegerField(default=0, help_text="Records that were all there already.")
    rejected_count = models.PositiveIntegerField(default=0)
    filtered_count = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = LongTaskQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("sampling:data_import", args=[self.pk])

    @property
    def folder(self):
        return settings.VAR_DIR / "imports" / self.folder_name


class LeftOut(models.TextChoices):
    REJECTED = "rejected", "not usable"
    FILTERED = "filtered", "removed by a filter"


class LeftOutRow(models.Model):
    """One row of an import's source that was not brought in: where it stands, why, and what it says."""

    data_import = models.ForeignKey(DataImport, on_delete=models.CASCADE, related_name="left_out")
    line = models.BigIntegerField(help_text="1 for the first line or row of the source.")
    why = models.CharField(max_length=8, choices=LeftOut)
    reason = models.TextField()
    content = models.TextField(blank=True, help_text="The row as it stands in the source; cut if it is very long.")

    class Meta:
        ordering = ["data_import", "line"]
        constraints = [
            models.UniqueConstraint(fields=["data_import", "line"], name="one_reason_per_import_and_row"),
        ]


class FilterSet(models.Model):
    """Filters under a name, to be run again: on another import, or on a prompt set that is there."""

    name = models.CharField(max_length=120, unique=True)
    steps = models.JSONField(default=list, help_text="Filters in their order: curation/steps.py.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("sampling:filter_set", args=[self.pk])


class Curation(LongTask):
    """Filters run over a prompt set that is there: looked through first, then kept as another prompt set."""

    TRANSITIONS = {**LongTask.TRANSITIONS, TaskState.FINISHED: (TaskState.QUEUED,)}

    of = models.ForeignKey(PromptSet, on_delete=models.PROTECT, related_name="curations")
    steps = models.JSONField(default=list, help_text="Filters in their order: curation/steps.py.")
    new_name = models.CharField(max_length=120, blank=True, help_text="Empty: only look what they remove.")
    made = models.OneToOneField(PromptSet, null=True, blank=True, on_delete=models.SET_NULL, related_name="curated_by")
    report = models.JSONField(default=dict, help_text="What each filter removes: curation/running.py.")
    seed = models.PositiveIntegerField(default=17, validators=[MaxValueValidator(2**31 - 1)])
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    objects = LongTaskQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.new_name or f"filters over {self.of}"

    def get_absolute_url(self) -> str:
        return reverse("sampling:curation", args=[self.pk])
