"""The YAML at the head of an export's card: by it ``load_dataset`` reads the files, and a hub lists the dataset.

Hugging Face's "Dataset Cards" and "Data files configuration". Features stand here so that both splits have the same
types, also where a column is empty throughout one of them.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from annotation.datasets.layouts import LAYOUTS, View
from annotation.models import DatasetSnapshot
from sampling.models import Split

CARD = "README.md"
CARD_MARK = "whetstone_snapshot:"  # by this an export is recognised
LICENCES = {  # the hub's keys; more can be written into the form
    "": "unspecified: choose one before you share it",
    "cc0-1.0": "CC0 1.0 (public domain)",
    "cc-by-4.0": "CC BY 4.0",
    "cc-by-sa-4.0": "CC BY-SA 4.0",
    "cc-by-nc-4.0": "CC BY-NC 4.0 (no commercial use)",
    "odc-by": "ODC-BY",
    "apache-2.0": "Apache 2.0",
    "mit": "MIT",
    "other": "another licence",
}
_SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")]
_LANGUAGE = re.compile(r"[a-z]{2,3}")


def front_matter(
    snapshot: DatasetSnapshot, view: View, counts: Mapping[str, int], languages: Iterable[str] = ()
) -> str:
    """``counts``: rows by split. ``languages``: of the prompts, as codes of ISO 639; others are left out."""
    return "\n".join(_lines(snapshot, view, counts, languages)) + "\n"


def file_name(split: str, file_type: str = "jsonl") -> str:
    return f"{split}.{file_type}"


def size_category(rows: int) -> str:
    """The hub's words for a number of rows."""
    return next((words for limit, words in _SIZES if rows < limit), "n>10M")


def _lines(snapshot: DatasetSnapshot, view: View, counts: Mapping[str, int], languages: Iterable[str]) -> Iterator[str]:
    layout = LAYOUTS[view.layout]
    # First: what recognises an export looks at the beginning of the file only.
    yield f"{CARD_MARK} {snapshot.content_hash}"
    project = snapshot.counts.get("project", snapshot.project)  # as it was called when this was frozen
    yield f"pretty_name: {_quoted(f'{project} / {snapshot.name}')}"
    if view.licence:
        yield f"license: {_quoted(view.licence)}"
    if codes := sorted({code for code in languages if _LANGUAGE.fullmatch(code)}):
        yield "language:"
        yield from (f"- {_quoted(code)}" for code in codes)  # quoted: "no" is Norwegian, and a truth value in YAML
    yield from ("size_categories:", f"- {size_category(sum(counts.values()))}")
    yield from ("task_categories:", f"- {layout.task}")
    yield "tags:"
    yield from (f"- {tag}" for tag in ("whetstone", "preference", "human-feedback", *layout.tags))
    files = [split for split in Split.values if counts[split]]
    if files:
        yield from ("configs:", "- config_name: default", "  data_files:")
        for split in files:
            yield from (f"  - split: {split}", f"    path: {file_name(split, view.file_type)}")
    yield from ("dataset_info:", "  features:")
    yield from yaml_of(layout.features(view), "  ")


def yaml_of(features: Mapping[str, Any], indent: str) -> Iterator[str]:
    """dataset_info.features, as datasets writes it."""
    for name, kind in features.items():
        # Quoted as JSON, which is YAML too: an aspect's key may read like a number or a truth value.
        yield f"{indent}- name: {_quoted(name)}"
        yield from _type(kind, f"{indent}  ")


def _type(kind: Any, indent: str) -> Iterator[str]:
    match kind:
        case str():
            yield f"{indent}dtype: {kind}"
        case {"list": str() as dtype}:
            yield f"{indent}sequence: {dtype}"
        case {"list": {"list": _} as inner}:
            yield f"{indent}sequence:"
            yield from _type(inner, f"{indent}  ")
        case {"list": inner}:
            yield f"{indent}list:"
            yield from yaml_of(inner, indent)
        case {"struct": inner}:
            yield f"{indent}struct:"
            yield from yaml_of(inner, indent)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
