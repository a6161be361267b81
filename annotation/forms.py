"""Forms: what people may send, and the words for what is wrong with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from annotation.models import Membership, Project
from annotation.protocol import MAX_COMPLETIONS
from annotation.ranking import DEFAULT_STRENGTH, Ranking, RankingError, Strength, ranking_from_ranks
from sampling.models import SamplingRun, Split

STRENGTH_CHOICES = [(strength.value, strength.label) for strength in Strength]


class ProjectForm(forms.ModelForm):
    guidelines = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 12}), required=False, strip=False,
        help_text="Markdown, shown beside every comparison.",
    )  # fmt: skip

    class Meta:
        model = Project
        fields = ["name", "overlap", "allow_ties", "strength_scale", "lease_seconds"]
        labels = {
            "overlap": "Judgments per comparison",
            "allow_ties": "Allow ties",
            "strength_scale": "Strength",
            "lease_seconds": "Lease in seconds",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["guidelines"] = self.instance.guidelines


class MemberForm(forms.ModelForm):
    """Add a member by username, or change one who is there."""

    username = forms.CharField(max_length=150)
    field_order = ["username", "role", "kind"]

    class Meta:
        model = Membership
        fields = ["role", "kind"]
        labels = {"kind": "Judges as"}

    def clean_username(self) -> str:
        username = self.cleaned_data["username"].strip()
        self.user = get_user_model().objects.filter(username=username, is_active=True).first()
        if self.user is None:
            raise forms.ValidationError(
                f'There is no account "{username}". Check the spelling, or ask the administrator to make it.'
            )
        return username


class RunField(forms.ModelChoiceField):
    def label_from_instance(self, run: SamplingRun) -> str:
        return f"{run.pk}: {run} ({run.get_state_display()}, {run.created_at:%d %b %Y})"


class OpenComparisonsForm(forms.Form):
    run = RunField(
        SamplingRun.objects.none(), label="Sampling run", empty_label=None,
        help_text="Whose completions are to be compared.",
    )  # fmt: skip
    k = forms.IntegerField(label="Completions per comparison (K)", initial=4, min_value=2, max_value=MAX_COMPLETIONS)
    split = forms.ChoiceField(choices=[("", "both"), *Split.choices], required=False, label="Split of the prompts")
    priority = forms.IntegerField(
        initial=0, min_value=-1000, max_value=1000, help_text="Higher comes first in the queue."
    )

    def __init__(self, *args: Any, runs: QuerySet[SamplingRun], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["run"].queryset = runs

    def completions(self):
        chosen = self.cleaned_data["run"].completions.all()
        split = self.cleaned_data["split"]
        return chosen.filter(prompt__split=split) if split else chosen


class AnswerForm(forms.Form):
    """One ranking as the page sends it: a rank for each letter (equal ones tie), a strength for each gap."""

    request_key = forms.UUIDField(widget=forms.HiddenInput)
    seconds_spent = forms.FloatField(widget=forms.HiddenInput, required=False, min_value=0, max_value=7 * 86_400)
    rationale = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "Why? What decided it?"}),
        required=False, max_length=5000, label="Note",
    )  # fmt: skip

    def __init__(self, *args: Any, names: Mapping[str, int], project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = names
        self.project = project
        places = [("", "?"), *((n, str(n)) for n in range(1, len(names) + 1))]
        for letter in names:
            self.fields[f"rank_{letter}"] = forms.TypedChoiceField(
                choices=places, coerce=int, empty_value=None, required=False, label=f"Rank of {letter}"
            )
        for gap in range(1, len(names) if project.asks_strength else 1):
            self.fields[f"strength_{gap}"] = forms.ChoiceField(
                choices=STRENGTH_CHOICES, required=False, label=f"{gap} over {gap + 1}",
                initial=DEFAULT_STRENGTH.value,
            )  # fmt: skip

    @staticmethod
    def initial_of(
        ranks: Mapping[str, int], strengths: Sequence[str], rationale: str, seconds_spent: float | None
    ) -> dict[str, Any]:
        return {
            "rationale": rationale,
            "seconds_spent": seconds_spent,
            **{f"rank_{letter}": rank for letter, rank in ranks.items()},
            **{f"strength_{gap}": strength for gap, strength in enumerate(strengths, start=1)},
        }

    @property
    def strength_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("strength_")]

    def ranks(self) -> dict[str, int]:
        """The letters that have a rank so far."""
        given = {letter: self.cleaned_data.get(f"rank_{letter}") for letter in self.names}
        return {letter: rank for letter, rank in given.items() if rank is not None}

    def strengths(self) -> list[str]:
        gaps = range(1, len(set(self.ranks().values())))
        return [self.cleaned_data.get(f"strength_{gap}") or DEFAULT_STRENGTH.value for gap in gaps]

    def ranking(self) -> Ranking:
        """The ranking by completion id. Raises RankingError: unfinished, or not what was shown."""
        ranks = self.ranks()
        if unplaced := [letter for letter in self.names if letter not in ranks]:
            raise RankingError(f"{', '.join(unplaced)} has no rank yet. Rank every completion, or skip.")
        return ranking_from_ranks(ranks, self.strengths()).map(self.names)

    def draft(self) -> dict[str, Any]:
        """What is worth keeping of an answer that may be unfinished."""
        return {
            "ranks": self.ranks(),
            "strengths": self.strengths(),
            "rationale": self.cleaned_data.get("rationale", ""),
            "seconds_spent": self.cleaned_data.get("seconds_spent"),
        }
