"""HelpSteer3's preference rows: two responses, what most think of them, and what each annotator does.

    {"domain", "language", "context": [messages], "response1", "response2", "overall_preference": -3..3,
     "individual_preference": [{"score": -3..3, "reasoning", "annotator"}...]}

Dataset card of nvidia/HelpSteer3 (arXiv 2505.11475): below zero response 1 is better, 3 much better, 2 better,
1 slightly better, 0 about the same. `negligibly_better`, which its scale has not, becomes 1: an order is not a tie.
Ties are rows here, unlike in the layouts of chosen and rejected. Response 1 is the completion that was written first.
Over all annotators the overall preference is what they agree on, as in the other layouts: its side by the rule that was
frozen with the snapshot, its size the mean level of those who chose that side. The individual ones stand beside as they
were said. The published `feedback1` and `feedback2` are left out: nobody is asked for them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from annotation.datasets.export_rows import Row, Rows, pseudonym
from annotation.datasets.frozen import FrozenJudgment, JudgedComparison, KeptPairs
from annotation.datasets.layouts.layout import (
    MESSAGES,
    Features,
    Layout,
    View,
    conversation,
    metadata_text,
    ties_in_words,
)
from annotation.rules.consensus import AgreedPair
from annotation.rules.ranking import Pair, Strength

SCORES = {
    Strength.SIGNIFICANTLY_BETTER: 3,
    Strength.BETTER: 2,
    Strength.SLIGHTLY_BETTER: 1,
    Strength.NEGLIGIBLY_BETTER: 1,
}
Scored = dict[tuple[int, int], int]  # (first, second) by id -> score


def features(view: View) -> Features:
    each: Features = {"score": "int64", "reasoning": "string", "annotator": "string"}
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
    if view.rows is Rows.JUDGMENT:
        for judgment in judged.counting:
            scores = scores_of(judged.kept_pairs(judgment))
            yield from _rows(judged, view, scores, [(judgment, scores)])
        return
    agreed = scored(judged.consensus().pairs, judged.ties())
    said = [(judgment, scores_of(judged.said_by(judgment))) for judgment in judged.counting] if agreed else []
    yield from _rows(judged, view, agreed, said)


def scores_of(kept: KeptPairs) -> Scored:
    return scored(kept.pairs, kept.ties)


def scored(pairs: Iterable[Pair | AgreedPair], ties: Iterable[tuple[int, int]]) -> Scored:
    """The score of each two completions, by the order and the strength of their pair; 0 for a tie."""
    scores = dict.fromkeys(ties, 0)
    for pair in pairs:
        score = SCORES[pair.strength]
        is_first = pair.chosen < pair.rejected
        scores[(pair.chosen, pair.rejected) if is_first else (pair.rejected, pair.chosen)] = (
            -score if is_first else score
        )
    return scores


def _rows(
    judged: JudgedComparison, view: View, overall: Scored, said: Sequence[tuple[FrozenJudgment, Scored]]
) -> Iterator[Row]:
    for first, second in sorted(overall):
        yield {
            "domain": metadata_text(judged, "domain", "category") or "general",
            "language": metadata_text(judged, "language", "lang") or "unknown",
            "context": conversation(judged),
            "response1": judged.completions[first].text,
            "response2": judged.completions[second].text,
            "overall_preference": overall[first, second],
            "individual_preference": [
                _individual(judgment, scores[first, second], view)
                for judgment, scores in said
                if (first, second) in scores
            ],
            "prompt_id": str(judged.prompt.pk),
            "comparison_id": judged.comparison_id,
        }


def _individual(judgment: FrozenJudgment, score: int, view: View) -> dict[str, Any]:
    """``reasoning`` is empty unless rationales were asked for: free text may name people."""
    reasoning = judgment.rationale if view.has_rationales else ""
    return {"score": score, "reasoning": reasoning, "annotator": pseudonym(judgment.annotator_id)}


def _note(view: View) -> str:
    scale = (
        "`response1` is the completion that was written first. The scale is HelpSteer3's: below zero response 1 is "
        "better, and 3, 2, 1 are much, plainly and slightly better; `negligibly_better` becomes 1. The published "
        "`feedback1` and `feedback2` of each annotator are missing: nobody was asked for them."
    )
    if view.rows is Rows.JUDGMENT:
        return f"One row per judgment and pair, {ties_in_words()} {scale}"
    return (
        f"One row per pair that is agreed on {view.agreed}, {ties_in_words()} The side of `overall_preference` is what "
        "is agreed on, its size the mean level of those who chose that side; `individual_preference` has what each "
        f"annotator said, those who disagree too. {scale}"
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
        "`overall_preference`": "-3 to 3: what the annotators agree on, or what the one annotator says",
        "`individual_preference`": "each annotator's `score`, with a pseudonym; `reasoning` is what they wrote, "
        "or empty where it was not asked for",
    },
    note=_note,
    has_rationales=True,
    tags=("helpsteer3",),
)
