"""Forms of review: what the list is filtered by, reasons and words that go on record, and a known answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from annotation.models import JudgeKind, Membership, Project, Purpose
from annotation.review.listing import KINDS_OF_JUDGES, Filters, Order, State
from annotation.rules.ranking import Ranking, ranking_from_ranks

KNOWN_PURPOSES = [
    (Purpose.GOLD.value, "Gold: mixed into the work, not recognisable"),
    (Purpose.QUALIFICATION.value, "Qualification: new annotators judge it before any real work"),
    (Purpose.TRAINING.value, "Training: the right answer is shown afterwards"),
]
EVERYBODY = "all"


class FilterForm(forms.Form):
    """What is in the address of the list. What is no choice is left out, as if it had not been sent."""

    text = forms.CharField(required=False, max_length=200, label="Words of the prompt")
    state = forms.ChoiceField(choices=[("", "any"), *((state.value, state.value) for state in State)], required=False)
    order = forms.ChoiceField(
        choices=[
            (Order.NEWEST.value, "newest first"),
            (Order.DISAGREEMENT.value, "disagreement first"),
            (Order.PRIORITY.value, "priority first"),
        ],
        required=False,
    )
    purpose = forms.ChoiceField(choices=[("", "any"), *Purpose.choices], required=False)
    group = forms.ChoiceField(required=False)
    kind = forms.ChoiceField(
        choices=[
            *((kind, words) for kind, words in KINDS_OF_JUDGES.items() if kind),
            (EVERYBODY, "everybody"),
        ],
        required=False, label="Compare",
    )  # fmt: skip

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The members' groups: to look through the comparisons for theirs would cost more the more there are.
        listed = Membership.objects.filter(project=project).values_list("groups", flat=True)
        groups = sorted({group for groups in listed for group in groups})
        self.fields["group"].choices = [("", "any"), *((group, group) for group in groups)]
        if not groups:
            del self.fields["group"]

    def filters(self) -> Filters:
        self.full_clean()
        given = {name: value for name, value in self.cleaned_data.items() if value}
        kind = given.pop("kind", JudgeKind.PERSON.value)
        return Filters(**given, kind="" if kind == EVERYBODY else kind)


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500, widget=forms.Textarea(attrs={"rows": 3}), help_text="Kept in the project's history."
    )


class PriorityForm(forms.Form):
    priority = forms.IntegerField(min_value=-1000, max_value=1000, label="Priority")


class ResolutionForm(forms.Form):
    resolution = forms.CharField(max_length=1000, label="What was done")


class KnownAnswerForm(forms.Form):
    """A place for each completion, by letter; equal places are ties."""

    purpose = forms.ChoiceField(choices=KNOWN_PURPOSES, widget=forms.RadioSelect, label="What it is for")
    explanation = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4}), required=False, max_length=5000, label="Why this is right",
        help_text="Markdown. In training it is shown with the right answer; otherwise it is for the managers. Name "
        "no letters: each annotator sees others. Quote a few words of the completion that you mean.",
    )  # fmt: skip
    waive = forms.BooleanField(
        required=False, initial=True,
        help_text="For a qualification item only. Else they get no work until they have answered the set well enough.",
    )  # fmt: skip

    def __init__(
        self, *args: Any, letters: Mapping[int, str], allow_ties: bool, at_work: int = 0, **kwargs: Any
    ) -> None:
        """``at_work``: how many work here already, and would have to qualify first from now on."""
        super().__init__(*args, **kwargs)
        if at_work:
            who = "The annotator who works" if at_work == 1 else f"The {at_work} annotators who work"
            self.fields["waive"].label = f"{who} here already need not qualify"
        else:
            del self.fields["waive"]
        self.letters = letters
        self.allow_ties = allow_ties
        places = [("", "place?"), *((n, str(n)) for n in range(1, len(letters) + 1))]
        for letter in sorted(letters.values()):
            self.fields[f"rank_{letter}"] = forms.TypedChoiceField(
                choices=places, coerce=int, label=f"Place of {letter}",
                error_messages={"required": f"Give {letter} a place: 1 is the best."},
            )  # fmt: skip

    @property
    def rank_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith("rank_")]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        given = [value for name, value in cleaned.items() if name.startswith("rank_")]
        if not self.allow_ties and len(set(given)) < len(given):
            raise forms.ValidationError("This project has no ties. Give each completion a place of its own.")
        return cleaned

    @property
    def waives(self) -> bool:
        is_qualification = self.cleaned_data["purpose"] == Purpose.QUALIFICATION
        return is_qualification and self.cleaned_data.get("waive", False)

    def ranking(self) -> Ranking:
        """By completion id."""
        return ranking_from_ranks({pk: self.cleaned_data[f"rank_{letter}"] for pk, letter in self.letters.items()})

    @staticmethod
    def initial_of(groups: Sequence[Sequence[int]], letters: Mapping[int, str]) -> dict[str, int]:
        """Places in the sense of "2 is the second": what only one annotator wrote has none."""
        shown = [[pk for pk in group if pk in letters] for group in groups]
        places = enumerate(filter(None, shown), start=1)
        return {f"rank_{letters[pk]}": place for place, group in places for pk in group}
