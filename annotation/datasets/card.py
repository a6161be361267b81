"""README.md of an export: YAML front matter by which ``load_dataset`` reads the files, then the card in Markdown.

Written from what was counted when the snapshot was frozen, so it never changes: what was withdrawn since
stands in a file of its own, see withdrawn.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.template.defaultfilters import pluralize
from django.template.loader import render_to_string

from annotation.datasets.card_front import LICENCES, file_name, front_matter
from annotation.datasets.card_guidelines import quoted_guidelines
from annotation.datasets.choice import choice_in, in_words
from annotation.datasets.counts import WITHDRAWN_WORK
from annotation.datasets.export_rows import Rows
from annotation.datasets.layouts import DEFAULT, LAYOUTS, View, meanings_of
from annotation.models import DatasetSnapshot, Purpose
from annotation.projects.presets import PRESETS
from annotation.rules.aggregation import Aggregation
from annotation.rules.protocol import StrengthScale, aspects_of, defects_of
from sampling.models import Split

AGREEMENT = {
    "alpha": "Krippendorff's alpha",
    "fleiss": "Fleiss's kappa",
    "cohen": "Cohen's kappa",
    "tau": "mean Kendall's tau",
    "share": "pairs on which two agree",
}


def dataset_card(
    snapshot: DatasetSnapshot,
    rows: Rows,
    counts: Mapping[str, int],
    *,
    view: View | None = None,
    languages: Iterable[str] = (),
) -> str:
    """``counts``: rows by split. ``view``: as what it is exported, if not as TRL preference rows in JSON lines."""
    marks, choice = snapshot.counts.get("marks", {}), choice_in(snapshot.settings)
    view = view or View(rows=rows, marks=marks)
    layout = LAYOUTS[view.layout]
    quoted, not_quoted = quoted_guidelines(snapshot)
    return render_to_string(
        "annotation/snapshot_card.md",
        {
            "snapshot": snapshot,
            "front": front_matter(snapshot, view, counts, languages),
            "layout": layout,
            "is_default_layout": layout.key == DEFAULT,
            "note": layout.note(view),
            "columns": meanings_of(view),
            "has_rationales": view.has_rationales,
            "licence": LICENCES.get(view.licence, view.licence) if view.licence else "",
            "by_majority": rows is Rows.MAJORITY,
            "counts": counts,
            "empty": [(file_name(split, view.file_type), split) for split in Split.values if not counts[split]],
            "marks": marks if rows is Rows.JUDGMENT else {},
            "asked": what_was_asked(snapshot.counts.get("asked"), has_rationales=view.has_rationales),
            "guidelines": guidelines_in_force(snapshot.counts.get("guidelines", [])),
            "quoted_guidelines": quoted,
            "guidelines_not_quoted": not_quoted,
            "agreement": agreement_in_words(snapshot.counts.get("agreement", [])),
            "left_out": reasons_left_out(snapshot.counts.get("left_out", {})),
            "project": snapshot.counts.get("project", snapshot.project),  # as it was called then
            "projects": list(snapshot.counts.get("projects", {})),
            "chosen": in_words(choice) if choice else [],
            "asks_agreement": choice is not None and choice.rule.asks_agreement,
            "is_weighed": choice is not None and choice.aggregation is Aggregation.DAWID_SKENE,
        },
    )


def what_was_asked(asked: Mapping[str, Any] | None, *, has_rationales: bool = False) -> list[str]:
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
        is_exported = "It is exported as it was written" if has_rationales else "It is not exported"
        said.append(f"A rationale, {asked['rationale']}. {is_exported}: free text may name people.")
    share = "" if asked["overlap_percent"] == 100 else f" of {asked['overlap_percent']} % of the comparisons, else one"
    said.append(f"Judgments wanted of each comparison: {asked['overlap']}{share}.")
    return said


def guidelines_in_force(versions: list[list[Any]]) -> str:
    """ "version 1 (12 judgments), version 2 (30 judgments)"; empty when none was recorded.

    Of a snapshot of several projects each with the project's name.
    """
    if not any(version[0] for version in versions):
        return ""
    return ", ".join(
        f"{f'version {number}' if number else 'none recorded'}{''.join(f' of {name}' for name in project)} "
        f"({judgments} judgment{pluralize(judgments)})"
        for number, judgments, *project in versions
    )


def reasons_left_out(left_out: Mapping[str, int]) -> list[tuple[str, int]]:
    """(why, how many judgments), without those reasons that met nothing."""
    words = {
        Purpose.GOLD: "of gold comparisons",
        Purpose.QUALIFICATION: "of the qualification set",
        Purpose.TRAINING: "of training items",
        "withdrawn": "of withdrawn comparisons",
        WITHDRAWN_WORK: "of annotators whose work is withdrawn",
    }
    return [(words[reason], count) for reason in words if (count := left_out.get(reason, 0))]


def agreement_in_words(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each kind of judge, with 95 % intervals: "person, 120 judgments ...: Krippendorff's alpha 0.61"."""
    return [
        f"{each['kind']}, {each['judgments']} judgments of the project{_named(each)} on {each['on']}: "
        + ", ".join(map(_figure_in_words, each["figures"]))
        for each in found
        if each["figures"]
    ]


def _named(found: Mapping[str, Any]) -> str:
    return f" {found['project']}" if "project" in found else ""


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
