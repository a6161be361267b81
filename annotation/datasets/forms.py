"""The form that freezes a snapshot."""

import uuid

from django import forms

from annotation.datasets.snapshots import available
from annotation.models import DatasetSnapshot, JudgeKind, Project


class SnapshotForm(forms.Form):
    """A name and the kinds of judge; what the database refuses is added by the view, beside the field."""

    name = forms.SlugField(
        max_length=DatasetSnapshot._meta.get_field("name").max_length,
        help_text='Letters, digits, hyphens and underscores, as in "june-1". It names the download as well.',
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )
    kinds = forms.MultipleChoiceField(
        label="Whose judgments",
        choices=JudgeKind.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="Kinds are mixed only if you choose more than one; an export says which row is whose.",
        error_messages={"required": "Choose at least one kind of judge."},
    )
    request_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args, project: Project, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        found = {kind: available(project, [kind]).judgments for kind in JudgeKind}
        self.fields["kinds"].choices = [(kind.value, f"{kind.label} ({found[kind]:,})") for kind in JudgeKind]
        self.fields["kinds"].initial = self.default_kinds = default_kinds(found)
        self.fields["request_key"].initial = uuid.uuid4


def default_kinds(found: dict[JudgeKind, int]) -> list[str]:
    """One kind: people where there are any, else the first that has judged at all."""
    return next(([kind.value] for kind in JudgeKind if found[kind]), [JudgeKind.PERSON.value])
