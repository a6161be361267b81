"""People as judges of a policy."""

from django.conf import settings
from django.db import models

from annotation.models import Project
from sampling.models import ModelVersion, SamplingRun
from training.models.rounds import TrainingRound


class BlindTest(models.Model):
    """A round's new policy against another, as people see them: a project of comparisons of one completion by each."""

    round = models.ForeignKey(TrainingRound, on_delete=models.PROTECT, related_name="blind_tests")
    opponent = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    project = models.OneToOneField(Project, on_delete=models.PROTECT, related_name="blind_test")
    sampling_runs = models.ManyToManyField(SamplingRun, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["round", "opponent"], name="one_blind_test_per_round_and_opponent"),
        ]
