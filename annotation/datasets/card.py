"""README.md of an export: YAML front matter by which ``load_dataset`` reads the files, then the card in Markdown.

Written from what was counted when the snapshot was frozen, so it never changes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.template.defaultfilters import pluralize
from django.template.loader import render_to_string

from annotation.datasets.export_rows import Rows, features_of
from annotation.models import DatasetSnapshot, Purpose
from annotation.projects.presets import PRESETS
from annotation.rules.protocol import StrengthScale, aspects_of, defects_of
from sampling.models import Split

AGREEMENT = {
    "alpha": "Krippendorff's alpha",
    "fleiss": "Fleiss's kappa",
    "cohen": "Cohen's kappa",
    "tau": "mean Kendall's tau",
    "share": "pairs on which two agree",
}
CARD = "README.md"
CARD_MARK = "whetstone_snapshot:"  # in the card's front matter: by this an export is recognised


def dataset_card(snapshot: DatasetSnapshot, rows: Rows, counts: Mapping[str, int]) -> str:
    """``counts``: rows by split."""
    marks = snapshot.counts.get("marks", {})
    return render_to_string(
        "annotation/snapshot_card.md",
        {
            "snapshot": snapshot,
            "title": json.dumps(f"{snapshot.project} / {snapshot.name}", ensure_ascii=False),  # also valid YAML
            "by_majority": rows is Rows.MAJORITY,
            "counts": counts,
            "files": [(split, file_name(split)) for split in Split.values if counts[split]],
            "empty": [split for split in Split.values if not counts[split]],
            "features": "\n".join(_yaml_of(features_of(rows, marks), "  ")),
            "marks": marks if rows is Rows.JUDGMENT else {},
            "asked": what_was_asked(snapshot.counts.get("asked")),
            "guidelines": guidelines_in_force(snapshot.counts.get("guidelines", [])),
            "agreement": agreement_in_words(snapshot.counts.get("agreement", [])),
            "left_out": reasons_left_out(snapshot.counts.get("left_out", {})),
            "mark": CARD_MARK,
        },
    )


def file_name(split: str) -> str:
    return f"{split}.jsonl"


def what_was_asked(asked: Mapping[str, Any] | None) -> list[str]:
    """The protocol in words; nothing for a snapshot from before it was kept."""
    if not asked:
        return []
    form = "Pairwise: two completions" if asked["completions"] == 2 else f"A ranking of {asked['completions']}"
    said = [f"{form}, {'ties allowed' if asked['ties'] else 'no ties'}.", _strength(StrengthScale(asked["scale"]))]
    if preset := PRESETS.get(asked["preset"]):
        said.insert(0, f"It began as the preset {preset.name} ({preset.source}, {preset.url}).")
    if asked["safety"]:
        said.append("A safety mark of each completion: `safe` or `unsafe`.")
    if aspects := aspects_of(asked["aspects"]):
        scales = (f"{aspect.label} (`{aspect.key}`, {aspect.lowest} to {aspect.highest})" for aspect in aspects)
        said.append(f"A rating of each completion: {', '.join(scales)}.")
    if defects := defects_of(asked["defects"]):
        said.append(f"Defects of each: {', '.join(f'{defect.label} (`{defect.key}`)' for defect in defects)}.")
    if asked["all_bad"]:
        said.append('"All are bad" was offered.')
    if asked["edits"]:
        said.append("Annotators could write a better answer, which ranks above what it edits.")
    if asked["rationale"] != "off":
        said.append(f"A rationale, {asked['rationale']}. It is not exported: free text may name people.")
    share = "" if asked["overlap_percent"] == 100 else f" of {asked['overlap_percent']} % of the comparisons, else one"
    said.append(f"Judgments wanted of each comparison: {asked['overlap']}{share}.")
    return said


def guidelines_in_force(versions: list[list[int | None]]) -> str:
    """ "version 1 (12 judgments), version 2 (30 judgments)"; empty when none was recorded."""
    if not any(number for number, _ in versions):
        return ""
    return ", ".join(
        f"{f'version {number}' if number else 'none recorded'} ({judgments} judgment{pluralize(judgments)})"
        for number, judgments in versions
    )


def reasons_left_out(left_out: Mapping[str, int]) -> list[tuple[str, int]]:
    """(why, how many judgments), without those reasons that met nothing."""
    words = {
        Purpose.GOLD: "of gold comparisons",
        Purpose.QUALIFICATION: "of the qualification set",
        Purpose.TRAINING: "of training items",
        "withdrawn": "of withdrawn comparisons",
    }
    return [(words[reason], count) for reason in words if (count := left_out.get(reason, 0))]


def agreement_in_words(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each kind of judge, with 95 % intervals: "person, 120 judgments ...: Krippendorff's alpha 0.61"."""
    return [
        f"{each['kind']}, {each['judgments']} judgments of the project on {each['on']}: "
        + ", ".join(map(_figure_in_words, each["figures"]))
        for each in found
        if each["figures"]
    ]


def _figure_in_words(figure: Mapping[str, Any]) -> str:
    interval = "" if figure["low"] is None else f" ({figure['low']:.2f} to {figure['high']:.2f})"
    return f"{AGREEMENT.get(figure['key'], figure['key'])} {figure['value']:.2f}{interval}"


def _strength(scale: StrengthScale) -> str:
    match scale:
        case StrengthScale.NONE:
            return "No strength was asked: every pair is `better`."
        case StrengthScale.LLAMA2:
            return "A strength between neighbours on Llama 2's four levels."
        case StrengthScale.HELPSTEER3:
            return (
                "A strength between neighbours as in HelpSteer3: its 3, 2 and 1 are `significantly_better`, `better` "
                "and `slightly_better`, its 0 is a tie."
            )


def _yaml_of(features: Mapping[str, Any], indent: str) -> Iterator[str]:
    """The front matter's dataset_info.features, as datasets writes it."""
    for name, kind in features.items():
        # Quoted as JSON, which is YAML too: an aspect's key may read like a number or a truth value.
        yield f"{indent}- name: {json.dumps(name)}"
        match kind:
            case str():
                yield f"{indent}  dtype: {kind}"
            case {"list": str() as dtype}:
                yield f"{indent}  sequence: {dtype}"
            case {"list": inner}:
                yield f"{indent}  list:"
                yield from _yaml_of(inner, f"{indent}  ")
            case {"struct": inner}:
                yield f"{indent}  struct:"
                yield from _yaml_of(inner, f"{indent}  ")
