"""The forms of projects: what is asked, of how many, and which comparisons are opened."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django import forms
from django.db.models import QuerySet

from annotation.models import Project, ProjectChange
from annotation.projects.presets import PRESETS
from annotation.projects.protocol_text import (
    EXAMPLE,
    LinesError,
    aspects_from_text,
    defects_from_text,
    text_of_aspects,
    text_of_defects,
)
from annotation.rules.protocol import (
    MAX_COMPLETIONS,
    Aspect,
    Defect,
    ProtocolError,
    StrengthScale,
    aspects_of,
    defects_of,
)
from sampling.models import Completion, DataImport, SamplingRun, Split

IMPORT = "import-"  # before an import's number, among the values that are sampling runs' numbers
SCALES = {
    StrengthScale.NONE: "not asked",
    StrengthScale.LLAMA2: "Llama 2: significantly, slightly, negligibly better ...",
    StrengthScale.HELPSTEER3: "HelpSteer3: \N{MINUS SIGN}3 to 3, where 0 is a tie",
}

NUMBER_ERRORS = {
    "required": "Write a number.",
    "invalid": "Write a whole number.",
    "min_value": "Write at least %(limit_value)s.",
    "max_value": "Write at most %(limit_value)s.",
}


@dataclass(frozen=True)
class FieldGroup:
    """Some of a form's fields under a heading; as much of a form as _parts/form_fields.html wants to see."""

    title: str
    css_class: str
    visible_fields: list[forms.BoundField]


class LinesField(forms.CharField):
    """Aspects or defects, one a line; as JSON of protocol.py in the cleaned data."""

    widget = forms.Textarea

    def __init__(self, *, read: Callable[..., Iterable], of: Callable, write: Callable, rows: int, **kwargs) -> None:
        super().__init__(required=False, max_length=5000, widget=forms.Textarea(attrs={"rows": rows}), **kwargs)
        self.read, self.of, self.write_out = read, of, write
        self.known: list[Aspect] | list[Defect] = []  # of the project as it is: they keep their keys

    def prepare_value(self, value):
        return self.write_out(self.of(value)) if isinstance(value, list) else value

    def clean(self, value) -> list[dict[str, Any]]:
        try:
            return [asdict(each) for each in self.read(super().clean(value), self.known)]
        except LinesError as error:
            raise forms.ValidationError(error.messages) from error
        except ProtocolError as error:
            raise forms.ValidationError(str(error)) from error

    def has_changed(self, initial, data) -> bool:
        return super().has_changed(self.prepare_value(initial or []), data)


class ProjectForm(forms.ModelForm):
    """Everything that a manager sets. The guidelines are beside it: a change of them is another version."""

    guidelines = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 14}), required=False, strip=False,
        help_text="Markdown, shown beside every comparison. A change is published as a new version; annotators are "
        "shown what is new.",
    )  # fmt: skip
    aspects = LinesField(
        read=aspects_from_text, of=aspects_of, write=text_of_aspects, rows=4,
        help_text=f"Rated for each completion. One a line, such as <code>{EXAMPLE}</code>; without numbers it is 1 "
        "to 5.",
    )  # fmt: skip
    defects = LinesField(
        read=defects_from_text, of=defects_of, write=text_of_defects, rows=4,
        help_text="Ticked for each completion that has them. One a line, such as <code>Hallucination</code>.",
    )  # fmt: skip
    preset = forms.CharField(widget=forms.HiddenInput, required=False, max_length=40)
    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)

    GROUPS = (
        ("", "form", ["name"]),
        (
            "What is asked",
            "form",
            ["completions_per_comparison", "allow_ties", "strength_scale", "allow_all_bad", "ask_safety", "aspects",
             "defects", "rationale", "allow_edits", "show_length"],
        ),
        (
            "How many, and how long",
            "settings-numbers",
            ["overlap", "overlap_percent", "lease_seconds", "gold_percent", "qualification_percent"],
        ),
        ("Guidelines", "form", ["guidelines"]),
    )  # fmt: skip

    class Meta:
        model = Project
        fields = [
            "name", "preset", "completions_per_comparison", "allow_ties", "strength_scale", "allow_all_bad",
            "ask_safety", "aspects", "defects", "rationale", "allow_edits", "show_length", "overlap",
            "overlap_percent", "lease_seconds", "gold_percent", "qualification_percent",
        ]  # fmt: skip
        labels = {
            "completions_per_comparison": "Completions per comparison (K)",
            "allow_ties": "Allow ties",
            "strength_scale": "How much better",
            "allow_all_bad": 'Offer "all are bad"',
            "ask_safety": "Mark each completion as safe or unsafe",
            "allow_edits": "Let annotators write a better answer",
            "show_length": "Show how long each completion is",
            "overlap": "Judgments per comparison",
            "overlap_percent": "Share of comparisons with that many, in %",
            "lease_seconds": "Lease in seconds",
            "gold_percent": "Gold comparisons, in %",
            "qualification_percent": "To qualify, in %",
        }
        help_texts = {
            "completions_per_comparison": "2 is a choice between two, 3 to 9 a ranking. What is open keeps its number.",
            "allow_ties": "",
            "allow_all_bad": "The completions are still ranked; what is bad stands beside it.",
            "ask_safety": "",
            "allow_edits": "It becomes a completion that ranks above what it edits.",
            "show_length": "In words. Off is fairer: length is easily taken for quality.",
            "overlap": "By as many different annotators.",
            "overlap_percent": "Chosen at random; the rest get one judgment. 100 is every comparison.",
            "lease_seconds": "How long an opened comparison stays reserved. An open page renews it.",
            "gold_percent": "Mixed in without being recognisable, as long as there are any with a known answer.",
            "qualification_percent": "Of the pairs of the qualification set, as many must be right before real work.",
        }

        error_messages = {
            "name": {
                "required": "Give the project a name.",
                "unique": "Another project has this name. Choose another.",
            },
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, forms.IntegerField):
                field.error_messages.update(NUMBER_ERRORS)
        self.fields["strength_scale"].widget.choices = [(scale.value, words) for scale, words in SCALES.items()]
        if self.instance.pk:
            self.initial["guidelines"] = self.instance.guidelines
            self.initial["seen"] = _newest_change(self.instance)
            self.fields["aspects"].known = self.instance.asked_aspects
            self.fields["defects"].known = self.instance.asked_defects

    @property
    def groups(self) -> list[FieldGroup]:
        return [FieldGroup(title, css_class, [self[name] for name in names]) for title, css_class, names in self.GROUPS]

    @property
    def wrong_fields(self) -> list[forms.BoundField]:
        """In the order of the page, for the words at its top."""
        return [field for group in self.groups for field in group.visible_fields if field.errors]

    def clean_preset(self) -> str:
        preset = self.cleaned_data["preset"]
        return self.instance.preset if self.instance.pk else preset if preset in PRESETS else ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.instance.pk and cleaned.get("seen") is not None:
            self._must_be_up_to_date(cleaned["seen"])
        return cleaned

    def _must_be_up_to_date(self, seen: int) -> None:
        """Two people with the form open: the second must not undo, unseen, what the first has saved."""
        newer = ProjectChange.objects.filter(project=self.instance, pk__gt=seen, what__in=["settings", "guidelines"])
        if change := newer.select_related("who").first():
            self.data = self.data.copy()
            self.data["seen"] = change.pk
            raise forms.ValidationError(
                f"{change.who or 'A command'} changed the settings while this form was open. Look at the history, and "
                "save again to replace that by what stands here."
            )


def _newest_change(project: Project) -> int:
    return ProjectChange.objects.filter(project=project).values_list("pk", flat=True).first() or 0


class OpenComparisonsForm(forms.Form):
    run = forms.ChoiceField(label="Completions of", help_text="Whose completions are to be compared.")
    k = forms.IntegerField(label="Completions per comparison (K)", min_value=2, max_value=MAX_COMPLETIONS)
    split = forms.ChoiceField(choices=[("", "both"), *Split.choices], required=False, label="Split of the prompts")
    priority = forms.IntegerField(
        initial=0, min_value=-1000, max_value=1000, help_text="Higher comes first in the queue."
    )
    group = forms.CharField(
        max_length=40, required=False,
        help_text="Only members of this group get these comparisons; empty: everybody.",
    )  # fmt: skip

    def __init__(self, *args: Any, runs: QuerySet[SamplingRun], imports: QuerySet[DataImport], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._found: dict[str, SamplingRun | DataImport] = {str(run.pk): run for run in runs}
        self._found |= {f"{IMPORT}{each.pk}": each for each in imports}
        groups: dict[str, list[tuple[str, str]]] = {"Sampling runs": [], "Imports": []}
        for value, found in self._found.items():
            groups["Imports" if value.startswith(IMPORT) else "Sampling runs"].append((value, _named(found)))
        self.fields["run"].choices = [(label, choices) for label, choices in groups.items() if choices]

    def completions(self) -> QuerySet[Completion]:
        chosen = self._found[self.cleaned_data["run"]].completions.all()
        split = self.cleaned_data["split"]
        return chosen.filter(prompt__split=split) if split else chosen


def _named(found: SamplingRun | DataImport) -> str:
    return f"{found.pk}: {found} ({found.get_state_display()}, {found.created_at:%d %b %Y})"
