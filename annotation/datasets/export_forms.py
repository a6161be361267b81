"""The forms that ask for an export, and for a push of one."""

import uuid

from django import forms

from annotation.datasets import hub
from annotation.datasets.card_front import LICENCES
from annotation.datasets.export_rows import Rows
from annotation.datasets.layouts import DEFAULT, LAYOUTS, FileType

ROWS = [(Rows.JUDGMENT.value, "each judgment's own"), (Rows.MAJORITY.value, "one over all annotators")]
FILE_TYPES = [(FileType.JSONL.value, "JSON lines"), (FileType.PARQUET.value, "Parquet")]


class ExportForm(forms.Form):
    layout = forms.ChoiceField(
        choices=[(key, f"{layout.label}: {layout.about}") for key, layout in LAYOUTS.items()],
        initial=DEFAULT,
        widget=forms.RadioSelect,
    )
    rows = forms.ChoiceField(
        label="Preferences",
        choices=ROWS,
        initial=Rows.JUDGMENT.value,
        widget=forms.RadioSelect,
        help_text="Over all annotators as it was chosen when this was frozen: by majority, or by Dawid and Skene.",
    )
    file_type = forms.ChoiceField(
        label="Files", choices=FILE_TYPES, initial=FileType.JSONL.value, widget=forms.RadioSelect
    )
    has_rationales = forms.BooleanField(
        label="With rationales",
        required=False,
        help_text="What annotators wrote, as they wrote it. It may name people: read it before you share it.",
    )
    licence = forms.ChoiceField(
        choices=list(LICENCES.items()), required=False, help_text="Stands on the dataset card; the terms are yours."
    )
    request_key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def clean(self) -> dict:
        cleaned = super().clean()
        layout = LAYOUTS.get(cleaned.get("layout", ""))
        if layout and cleaned.get("has_rationales") and not layout.has_rationales:
            able = ", ".join(each.label for each in LAYOUTS.values() if each.has_rationales)
            self.add_error(
                "has_rationales", f"{layout.label} has no place for rationales. Leave them out, or choose from: {able}."
            )
        return cleaned


class PushForm(forms.Form):
    hub_id = forms.CharField(
        label="Dataset on the hub",
        max_length=200,
        help_text="owner/name, as in acme/preferences-june. The workers need HF_TOKEN and a way to the hub.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    is_private = forms.BooleanField(
        label="Private", required=False, initial=True, help_text="Of a dataset that is new; one that is there stays so."
    )
    request_key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def clean_hub_id(self) -> str:
        hub_id = self.cleaned_data["hub_id"].strip()
        try:
            hub.check_id(hub_id)
        except hub.PushRefused as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        return hub_id
