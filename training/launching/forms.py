"""The form that launches a round."""

import uuid

from django import forms
from django.db.models import F

from annotation.models import DatasetSnapshot
from sampling.models import ModelVersion
from training.launching.launch_checks import MAX_NAME, train_pairs
from training.recipe import RECIPES


def recipe_choices() -> list[tuple[str, str]]:
    """The recipes that come with the project, by name."""
    names = sorted(path.stem for path in RECIPES.glob("*.toml"))
    return [(name, name) for name in names]


class SnapshotField(forms.ModelChoiceField):
    def label_from_instance(self, snapshot: DatasetSnapshot) -> str:
        return f"{snapshot.project.name} / {snapshot.name} ({train_pairs(snapshot):,} train pairs)"


class PolicyField(forms.ModelChoiceField):
    def label_from_instance(self, policy: ModelVersion) -> str:
        return policy.name if policy.published_at else f"{policy.name} (not published)"


class RoundForm(forms.Form):
    name = forms.CharField(
        max_length=MAX_NAME, help_text="The model versions that the round makes carry it: r1-reward, r1-sft, r1-dpo."
    )
    base_policy = PolicyField(
        queryset=ModelVersion.objects.none(), empty_label=None, help_text="What is trained on, and measured against."
    )
    snapshot = SnapshotField(
        queryset=DatasetSnapshot.objects.none(), empty_label=None, help_text="The frozen judgments to learn from."
    )
    recipe = forms.ChoiceField(choices=recipe_choices, help_text="Which stages, with which values.")
    seed = forms.IntegerField(
        min_value=0, max_value=2**31 - 1, initial=17, help_text="The same seed draws the same numbers again."
    )
    request_key = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Published first: an unpublished policy may be trained further, but is seldom what is meant.
        policies = ModelVersion.objects.policies().order_by(F("published_at").desc(nulls_last=True), "-created_at")
        self.fields["base_policy"].queryset = policies
        self.fields["snapshot"].queryset = DatasetSnapshot.objects.select_related("project")
        self.fields["request_key"].initial = uuid.uuid4
