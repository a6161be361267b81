"""The form that launches a round."""

import uuid
from typing import Any

from django import forms
from django.db.models import F

from annotation.models import DatasetSnapshot
from sampling.long_tasks import TaskState
from sampling.models import ModelVersion
from training import recipe as recipes
from training.launching import changes
from training.launching.asked import BLANK, Asked
from training.launching.launch_checks import MAX_NAME, NAME
from training.launching.snapshot_pairs import judged_by, train_pairs
from training.models import DemonstrationSet, TrainingRound

MAX_CHANGES = 20_000  # characters
# What of the form says what a round would do; the rest is only its name, its seed and where it came from.
OF_THE_ROUND = ("base_policy", "snapshot", "recipe", "changes", "previous", "demonstrations")


def recipe_names() -> list[str]:
    """The recipes that come with the project."""
    return sorted(path.stem for path in recipes.RECIPES.glob("*.toml"))


def recipe_choices() -> list[tuple[str, str]]:
    return [*((name, name) for name in recipe_names()), (BLANK, f"{BLANK}: only what stands under Changes")]


class RecipeField(forms.ChoiceField):
    """The recipes by name. What each does stands below the select, for all to read before they choose."""

    explained_by = "training/_recipes.html"

    def explained(self) -> list[recipes.Recipe]:
        return [recipes.load(name) for name in recipe_names()]


class SnapshotField(forms.ModelChoiceField):
    def label_from_instance(self, snapshot: DatasetSnapshot) -> str:
        people = "" if judged_by([snapshot], "people") else ", none by people"
        withdrawn = ", holds withdrawn work" if snapshot.has_withdrawn else ""
        return f"{snapshot.project.name} / {snapshot.name} ({train_pairs(snapshot):,} train pairs{people}{withdrawn})"


class PolicyField(forms.ModelChoiceField):
    def label_from_instance(self, policy: ModelVersion) -> str:
        return policy.name if policy.published_at else f"{policy.name} (not published)"


class RoundField(forms.ModelChoiceField):
    def label_from_instance(self, round: TrainingRound) -> str:
        made = f", made {round.policy.name}" if round.policy else ""
        return f"{round.name} (round {round.number} of {round.recipe_name}{made})"


class DemonstrationsField(forms.ModelChoiceField):
    def label_from_instance(self, demonstrations: DemonstrationSet) -> str:
        return f"{demonstrations.name} ({demonstrations.rows:,} conversations)"


class RoundForm(forms.Form):
    name = forms.CharField(
        max_length=MAX_NAME,
        help_text="Letters, digits, dots, dashes and underscores: the model versions that the round makes carry it.",
        # A browser reads a pattern by rules under which the dash is escaped.
        widget=forms.TextInput(attrs={"pattern": NAME.pattern.replace("._-", r"._\-"), "autocomplete": "off"}),
    )
    recipe = RecipeField(choices=recipe_choices, help_text="Which stages, with which values.")
    changes = forms.CharField(
        required=False,
        max_length=MAX_CHANGES,
        help_text="What is to be different in the recipe, as TOML, a line each.",
        widget=forms.Textarea(
            attrs={"rows": 3, "class": "mono", "spellcheck": "false", "placeholder": "dpo.beta = 0.2\nsft.epochs = 2"}
        ),
    )
    previous = RoundField(
        label="Continues",
        required=False,
        queryset=TrainingRound.objects.none(),
        empty_label="nothing: the first round of a schedule",
        help_text="The round of the schedule before this one. Some recipes do other things in later rounds.",
    )
    base_policy = PolicyField(
        queryset=ModelVersion.objects.none(), empty_label=None, help_text="What is trained on, and measured against."
    )
    snapshot = SnapshotField(
        queryset=DatasetSnapshot.objects.none(), empty_label=None, help_text="The frozen judgments to learn from."
    )
    demonstrations = DemonstrationsField(
        required=False,
        queryset=DemonstrationSet.objects.none(),
        empty_label="none",
        help_text="Only for a recipe that begins with SFT on demonstrations.",
    )
    seed = forms.IntegerField(
        min_value=0, max_value=2**31 - 1, initial=17, help_text="The same seed draws the same numbers again."
    )
    cloned_from = forms.ModelChoiceField(queryset=TrainingRound.objects.all(), required=False, widget=forms.HiddenInput)
    request_key = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Published first: an unpublished policy may be trained further, but is seldom what is meant.
        policies = ModelVersion.objects.policies().order_by(F("published_at").desc(nulls_last=True), "-created_at")
        self.fields["base_policy"].queryset = policies
        snapshots = DatasetSnapshot.objects.with_withdrawn().defer("settings")
        self.fields["snapshot"].queryset = snapshots.select_related("project")
        finished = TrainingRound.objects.filter(state=TaskState.FINISHED)
        self.fields["previous"].queryset = finished.select_related("policy", "snapshot")
        self.fields["demonstrations"].queryset = DemonstrationSet.objects.defer("rejected")
        self.fields["request_key"].initial = uuid.uuid4()

    def clean_changes(self) -> dict[str, Any]:
        try:
            return changes.read(self.cleaned_data["changes"])
        except recipes.RecipeError as error:
            raise forms.ValidationError(str(error)) from None

    @property
    def number(self) -> int:
        """Which round of its schedule it would be; the first while that is not known."""
        previous = getattr(self, "cleaned_data", {}).get("previous")
        return previous.number + 1 if previous else 1

    @property
    def asked(self) -> Asked | None:
        """What the bound form asks for, whatever its name and seed; None while a part of that is wrong."""
        if any(field in self.errors for field in OF_THE_ROUND):
            return None
        return Asked(**{field: self.cleaned_data[field] for field in OF_THE_ROUND})

    def show(self, problems: dict[str, str]) -> None:
        """Put what was found beside the fields; whatever belongs to none, above them all."""
        for field, problem in problems.items():
            self.add_error(field if field in self.fields else None, problem)
