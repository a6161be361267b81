"""HelpSteer3's preference rows: two responses, what most think of them, and what each annotator does.

    {"domain", "language", "context": [messages], "response1", "response2", "overall_preference": -3..3,
     "individual_preference": [{"score": -3..3, "reasoning", "annotator"}...]}

Dataset card of nvidia/HelpSteer3 (arXiv 2505.11475): below zero response 1 is better, 3 much better, 2 better,
1 slightly better, 0 about the same. `negligibly_better`, which its scale has not, becomes 1: an order is not a tie.
Ties are rows here, unlike in the layouts of chosen and rejected. Response 1 is the completion that was written first.
The overall preference is the mean of the individual ones, half-way to the weaker.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import ceil
from typing import Any

from annotation.datasets.export_rows import Row, Rows, pseudonym
from annotation.datasets.frozen import FrozenJudgment, JudgedComparison, ranking_of
from annotation.datasets.layouts.layout import MESSAGES, Features, Layout, View, conversation, metadata_text
from annotation.rules.consensus import tied_pairs
from annotation.rules.ranking import Strength

SCORES = {
    Strength.SIGNIFICANTLY_BETTER: 3,
    Strength.BETTER: 2,
    Strength.SLIGHTLY_BETTER: 1,
    Strength.NEGLIGIBLY_BETTER: 1,
}
Scored = dict[tuple[int, int], int]  # (first, second) by id -> score


def features(view: View) -> Features:
    each: Features = {"score": "int64", "annotator": "string"}
    if view.has_rationales:
        each["reasoning"] = "string"
    return {
        "domain": "string",
        "language": "string",
        "context": MESSAGES,
        "response1": "string",
        "response2": "string",
        "overall_preference": "int64",
        "individual_preference": {"list": each},
        "prompt_id": "string",
        "comparison_id": "int64",
    }


def rows(judged: JudgedComparison, view: View) -> Iterator[Row]:
    scored = [(judgment, scores_by(judged, judgment)) for judgment in judged.counting]
    if view.rows is Rows.JUDGMENT:
        for one in scored:
            yield from _rows(judged, view, [one])
    else:
        yield from _rows(judged, view, scored)


def scores_by(judged: JudgedComparison, judgment: FrozenJudgment) -> Scored:
    """One judgment's score of each two completions; without those that put an unsafe one above a safe one."""
    scores = dict.fromkeys(tied_pairs(ranking_of(judgment)), 0)
    for pair in judged.pairs_by(judgment)[0]:
        score = SCORES[pair.strength]
        low, high = sorted((pair.chosen, pair.rejected))
        scores[low, high] = -score if pair.chosen == low else score
    return scores


def overall(scores: Sequence[int]) -> int:
    """The mean, rounded to the nearest, half-way towards zero."""
    mean = sum(scores) / len(scores)
    size = max(0, ceil(abs(mean) - 0.5))
    return size if mean > 0 else -size


def _rows(judged: JudgedComparison, view: View, scored: Sequence[tuple[FrozenJudgment, Scored]]) -> Iterator[Row]:
    for first, second in combinations(sorted(judged.completions), 2):
        said = [(judgment, scores[first, second]) for judgment, scores in scored if (first, second) in scores]
        if said:
            yield {
                "domain": metadata_text(judged, "domain", "category") or "general",
                "language": metadata_text(judged, "language", "lang") or "unknown",
                "context": conversation(judged),
                "response1": judged.completions[first].text,
                "response2": judged.completions[second].text,
                "overall_preference": overall([score for _, score in said]),
                "individual_preference": [_individual(judgment, score, view) for judgment, score in said],
                "prompt_id": str(judged.prompt.pk),
                "comparison_id": judged.comparison_id,
            }


def _individual(judgment: FrozenJudgment, score: int, view: View) -> dict[str, Any]:
    said: dict[str, Any] = {"score": score, "annotator": pseudonym(judgment.annotator_id)}
    return said | {"reasoning": judgment.rationale} if view.has_rationales else said


def _note(view: View) -> str:
    what = "per judgment and pair" if view.rows is Rows.JUDGMENT else "per pair, over all annotators"
    return (
        f"One row {what}: `response1` is the completion that was written first. Ties are rows, with 0. The scale is "
        "HelpSteer3's: below zero response 1 is better, and 3, 2, 1 are much, plainly and slightly better; "
        "`negligibly_better` becomes 1."
    )


LAYOUT = Layout(
    key="helpsteer3",
    label="HelpSteer3",
    about="As nvidia/HelpSteer3 has it: two responses, a score from -3 to 3, and each annotator's own.",
    features=features,
    rows=rows,
    meanings={
        "`domain`, `language`": "of the prompt, where its metadata says so (`domain` or `category`, `language`)",
        "`context`": "the conversation so far",
        "`response1`, `response2`": "the two completions, in the order in which they were written",
        "`overall_preference`": "-3 to 3: the mean of the individual ones, half-way to the weaker",
        "`individual_preference`": "each annotator's `score`, with a pseudonym",
    },
    note=_note,
    has_rationales=True,
    tags=("helpsteer3",),
)
