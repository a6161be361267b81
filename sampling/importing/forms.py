"""What the pages of imports ask for: where a source is, and how it is to be read."""

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

from django import forms
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.validators import RegexValidator

from sampling.importing import showing
from sampling.importing.forgetting import KEPT
from sampling.importing.options import Options
from sampling.importing.stores import store_class
from sampling.intake.formats import FORMATS
from sampling.intake.mapping import FIELDS, SEVERAL, suggest
from sampling.models import PromptSet, SourceKind

INCOMING_SHOWN = 200  # entries of the folder that are offered
MAPPED = "mapped"
PASTED_EXAMPLE = """{"prompt": "Why is the sky blue?"}
{"messages": [{"role": "user", "content": "Hello"}], "split": "eval"}"""

is_hub_id = RegexValidator(
    r"^[\w.-]+(/[\w.-]+)?$", "A hub id is an owner and a name with a slash between, such as org/name."
)


class From(StrEnum):
    """Where the rows come from, as a person chooses it."""

    UPLOAD = "upload"
    PASTED = "pasted"
    INCOMING = "incoming"
    HUB = "hub"


FROM_CHOICES = [
    (From.UPLOAD.value, "A file of yours"),
    (From.PASTED.value, "Pasted lines"),
    (From.INCOMING.value, "A file on the server"),
    (From.HUB.value, "A dataset of a hub"),
]
FIELD_OF = {From.UPLOAD: "file", From.PASTED: "pasted", From.INCOMING: "incoming", From.HUB: "hub_id"}
MISSING = {
    From.UPLOAD: "Choose a file.",
    From.PASTED: "Paste at least one line.",
    From.INCOMING: "Choose a file or a folder of the server's import folder.",
    From.HUB: "Give the dataset's id, such as org/name.",
}
LINKS_OUT = "A link in it leads out of the server's import folder. Put the file itself there."
# The columns that are asked for first, by what is imported; the others are folded away, unless they are filled in.
ASKED_FIRST = {
    "prompts": ("prompt", "system", "messages", "split"),
    "completions": ("prompt", "completion", "completions", "writer"),
    "judgments": ("prompt", "completion_a", "completion_b", "chosen", "rejected", "preference", "annotator"),
}


def incoming_folder() -> Path:
    """What lies here may be imported without an upload. Who may write here is the machine's to say."""
    return settings.VAR_DIR / "incoming"


def incoming() -> list[str]:
    """Names of files and folders in it. Only these are accepted, so that no name leads anywhere else."""
    folder = incoming_folder()
    try:
        inside = folder.resolve()
        found = sorted(
            entry.name for entry in folder.iterdir() if not entry.name.startswith(".") and not _leads_out(entry, inside)
        )
    except OSError:
        return []
    return found[:INCOMING_SHOWN]


def _leads_out(path: Path, inside: Path) -> bool:
    """Whether it is a link to elsewhere: what lies elsewhere is not to be read by way of this folder."""
    return not path.resolve().is_relative_to(inside)


def has_links_out(folder: Path) -> bool:
    """Whether anything in this folder of the incoming ones is a link to elsewhere."""
    inside = incoming_folder().resolve()
    return any(
        each.is_symlink() and _leads_out(each, inside)
        for root, folders, files in os.walk(folder)
        for each in (Path(root) / name for name in (*folders, *files))
    )


class NewImportForm(forms.Form):
    """A source, and the prompt set that its prompts belong to."""

    request_key = forms.UUIDField(widget=forms.HiddenInput)
    prompt_set_name = forms.CharField(
        label="Prompt set",
        max_length=120,
        help_text="A new name makes a new set; the name of a set that is there adds to it.",
        widget=forms.TextInput(attrs={"list": "prompt-sets", "autocomplete": "off"}),
    )
    comes_from = forms.ChoiceField(
        label="Where the rows are", choices=FROM_CHOICES, widget=forms.RadioSelect, initial=From.UPLOAD
    )
    file = forms.FileField(
        label="File",
        required=False,
        help_text="JSON Lines, JSON, CSV, TSV or Parquet, or one of these compressed by gzip. It may be large: it is "
        f"read piece by piece. It is deleted {KEPT.days} days after its import has ended.",
    )
    pasted = forms.CharField(
        label="Lines",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false", "placeholder": PASTED_EXAMPLE}),
    )
    incoming = forms.ChoiceField(label="File or folder on the server", required=False)
    hub_id = forms.CharField(
        label="Dataset of a hub",
        required=False,
        max_length=200,
        validators=[is_hub_id],
        help_text="Such as org/name. It is read over the network by a worker.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["request_key"].initial = uuid.uuid4
        entries = incoming()
        self.fields["incoming"].choices = [("", "choose one"), *((name, name) for name in entries)]
        if entries:
            words = f"What lies in {incoming_folder()} on the server's machine."
        else:
            words = f"Nothing lies in {incoming_folder()} on the server's machine. Put a file or a folder there first."
        self.fields["incoming"].help_text = words

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "comes_from" in cleaned:
            comes_from = From(cleaned["comes_from"])
            name = FIELD_OF[comes_from]
            given = cleaned.get(name)
            is_missing = not (given.strip() if isinstance(given, str) else given)
            if is_missing and name not in self.errors:  # an empty file has words of its own
                self.add_error(name, MISSING[comes_from])
            if comes_from == From.INCOMING and given and has_links_out(incoming_folder() / given):
                self.add_error(name, LINKS_OUT)
        return cleaned

    def source(self) -> dict[str, Any]:
        """The keyword arguments of the action that say what is to be read."""
        cleaned = self.cleaned_data
        match From(cleaned["comes_from"]):
            case From.UPLOAD:
                return _file(cleaned["file"], cleaned["file"].name)
            case From.PASTED:
                pasted = cleaned["pasted"].encode("utf-8", "surrogatepass")
                return _file(ContentFile(pasted, name="pasted lines"), "pasted lines")
            case From.INCOMING:
                path = incoming_folder() / cleaned["incoming"]
                kind = SourceKind.DIRECTORY if path.is_dir() else SourceKind.FILE
                return {"source_kind": kind, "location": str(path), "name": path.name}
            case From.HUB:
                return {"source_kind": SourceKind.HUB, "location": cleaned["hub_id"], "name": cleaned["hub_id"]}
            case other:
                assert_never(other)


def _file(upload: File, name: str) -> dict[str, Any]:
    return {"source_kind": SourceKind.FILE, "upload": upload, "name": name[-255:]}


@dataclass(frozen=True)
class Column:
    """One of our names, and what of the source it was said to be."""

    field: forms.BoundField
    problem: str  # what the look found wrong with it
    is_first: bool


class SettingsForm(forms.Form):
    """How an import reads its source. Made anew for each import: what can be chosen depends on what was seen."""

    format = forms.ChoiceField(label="Format", required=False)
    split_name = forms.ChoiceField(label="Split of the dataset", required=False)
    subset = forms.ChoiceField(label="Configuration of the dataset", required=False)
    eval_percent = forms.FloatField(
        label="Of rows without a split, to eval (%)",
        required=False,
        min_value=0,
        max_value=100,
        help_text="Prompts in the eval split are never trained on. Which prompt goes there depends on its text only.",
    )
    split_group = forms.CharField(
        label="Never split a group",
        required=False,
        max_length=200,
        help_text="A key of the metadata, such as source: prompts with the same value go to the same split.",
    )

    def __init__(self, data: Any = None, *, seen: Mapping[str, Any], options: Options, what: str) -> None:
        self.options, self.what = options, what
        super().__init__(data, initial=options.as_json() | {"eval_percent": f"{options.eval_percent:g}"})
        self.fields["format"].choices = format_choices(what, seen)
        self._offer("split_name", seen.get("splits", ()))
        self._offer("subset", seen.get("subsets", ()))
        self._offer_columns(seen)

    def _offer(self, name: str, found: Iterable[str]) -> None:
        """What there is to choose from, and what was chosen; no field where there is nothing."""
        present = getattr(self.options, name)
        names = [*dict.fromkeys([*found, *filter(None, [present])])]
        if names:
            self.fields[name].choices = [("", "the first one"), *((each, each) for each in names)]
        else:
            del self.fields[name]

    def _offer_columns(self, seen: Mapping[str, Any]) -> None:
        """A field for each of our names, with what was mapped, or else what its name suggests."""
        self.paths = showing.paths(seen)
        self.column_problems = seen.get("column_problems", {})
        mapping = self.options.mapping or (suggest(self.paths) if self.paths else {})
        for name, meaning in FIELDS.items():
            column = mapping.get(name, "")
            self.fields[f"column_{name}"] = forms.CharField(
                label=name.replace("_", " "),
                required=False,
                max_length=1000,
                help_text=meaning,
                initial=column if isinstance(column, str) else SEVERAL.join(column),
                widget=forms.TextInput(attrs={"list": "columns", "autocomplete": "off"}),
            )

    def columns(self) -> list[Column]:
        """Those that are filled in or asked for first."""
        return [column for column in self._columns() if column.is_first]

    def more_columns(self) -> list[Column]:
        return [column for column in self._columns() if not column.is_first]

    def _columns(self) -> Iterator[Column]:
        first = ASKED_FIRST.get(self.what, ())
        for name in FIELDS:
            field = self[f"column_{name}"]
            is_as_seen = field.value() == field.initial
            problem = self.column_problems.get(name, "") if is_as_seen else ""
            yield Column(field, problem, is_first=bool(name in first or field.value() or field.errors or problem))

    def others(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name in ("split_name", "subset", "eval_percent", "split_group")]

    def changed_options(self, *, steps: list[dict[str, Any]], store: dict[str, Any]) -> Options:
        cleaned = self.cleaned_data
        mapping = {name: cleaned[f"column_{name}"] for name in FIELDS if cleaned[f"column_{name}"]}
        return replace(
            self.options,
            format=cleaned["format"],
            mapping=mapping if cleaned["format"] == MAPPED else {},
            split_name=cleaned.get("split_name", ""),
            subset=cleaned.get("subset", ""),
            eval_percent=cleaned["eval_percent"] or 0.0,
            split_group=cleaned["split_group"],
            steps=steps,
            store=store,
        )


def format_choices(what: str, seen: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Those that fit the first rows before the others; what holds nothing of this kind is not offered."""
    giving = {key: each.label for key, each in FORMATS.items() if what in each.gives and key != MAPPED}
    fitting = [key for key in seen.get("formats", ()) if key in giving]
    groups = [
        ("Fits the first rows", [(key, giving[key]) for key in fitting]),
        ("Others", [(key, label) for key, label in giving.items() if key not in fitting]),
        ("By hand", [(MAPPED, "Columns that you choose")]),
    ]
    return [("", "Recognise it by its rows"), *((label, choices) for label, choices in groups if choices)]


def store_form(what: str, data: Any = None, *, initial: Mapping[str, Any] | None = None) -> forms.Form:
    """What the store must be told, in the middle of our own form."""
    return store_class(what).form(data, initial=dict(initial or {}), prefix="store")


def prompt_set_names() -> list[str]:
    return list(PromptSet.objects.values_list("name", flat=True)[:INCOMING_SHOWN])
