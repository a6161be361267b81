"""What is looked at before a round is launched."""

from django.conf import settings
from django.db import models

from annotation.models import DatasetSnapshot
from sampling.long_tasks import LongTask, LongTaskQuerySet
from sampling.models import ModelVersion
from training.models.demonstrations import DemonstrationSet
from training.models.rounds import TrainingRound


class LaunchCheck(LongTask):
    """The check of a round's data, run before the round is launched. One for each thing that can be asked."""

    base_policy = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    snapshot = models.ForeignKey(DatasetSnapshot, on_delete=models.CASCADE, related_name="+")
    previous = models.ForeignKey(TrainingRound, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    demonstrations = models.ForeignKey(
        DemonstrationSet, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    recipe = models.JSONField(help_text="The resolved recipe of the round that is asked for.")
    key = models.CharField(max_length=64, unique=True, help_text="SHA-256 of all that the result depends on.")
    result = models.JSONField(null=True, blank=True)

    objects = LongTaskQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"check {self.key[:12]}"

    @property
    def run_dir(self):
        return settings.VAR_DIR / "launch-checks" / self.folder_name

    def earlier(self) -> list[TrainingRound]:
        """The rounds of the schedule before the one that is asked for, the first one first."""
        return [*self.previous.earlier(), self.previous] if self.previous else []
