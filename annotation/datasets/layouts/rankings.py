"""K-way rankings with ties, one row per annotator: our own layout, from which every other one can be made.

    {"prompt": [{"role", "content"}...], "completions": [{"text", "model"}...], "ranking": [[0], [1, 2]],
     "strengths": ["better"], "annotator": "annotator-1f...", "kind": "person", "time": 1780315200, ...}

`ranking` names the completions by their positions, best group first. By majority a row is a comparison in which all is
agreed on: of each two completions that it names, their order or that they are tied. Where a pair was dropped (disputed,
weak, unsafe above safe, or never ranked together, as two annotators' better answers), or where agreed pairs run in a
circle, no ranking says only what was agreed, and there is no row; a completion of which nothing is agreed is not named.
Such a row has no strengths, annotator or time.
`sampling.intake.formats` reads both back. The time is a number, in seconds: a text that reads like a time becomes one
in the hands of ``load_dataset``, and another text afterwards; and more than seconds only tells people apart.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from annotation.datasets.export_rows import Row, Rows, pseudonym
from annotation.datasets.frozen import FrozenJudgment, JudgedComparison
from annotation.datasets.layouts.layout import MESSAGES, Features, Layout, View, author_of, conversation

COMPLETIONS = {"list": {"text": "string", "model": "string", "finish_reason": "string", "origin": "string"}}


def features(view: View) -> Features:
    columns: Features = {
        "prompt": MESSAGES,
        "completions": COMPLETIONS,
        "ranking": {"list": {"list": "int64"}},
        "strengths": {"list": "string"},
        "prompt_id": "string",
        "comparison_id": "int64",
        "is_decision": "bool",
        "split": "string",
    }
    if view.rows is Rows.JUDGMENT:
        columns |= {
            "annotator": "string", "kind": "string", "time": "int64", "judgment_id": "int64", "all_bad": "bool",
        }  # fmt: skip
        if view.has_rationales:
            columns["rationale"] = "string"
    return columns


def rows(judged: JudgedComparison, view: View) -> Iterator[Row]:
    if view.rows is Rows.MAJORITY:
        if groups := _by_majority(judged):
            yield _row(judged, groups, [])
        return
    for judgment in judged.counting:
        row = _row(judged, judgment.ranking, list(judgment.strengths)) | _who(judgment)
        yield row | {"rationale": judgment.rationale} if view.has_rationales else row


def _row(judged: JudgedComparison, groups: Sequence[Sequence[int]], strengths: list[str]) -> Row:
    shown = sorted(pk for group in groups for pk in group)
    position = {pk: at for at, pk in enumerate(shown)}
    return {
        "prompt": conversation(judged),
        "completions": [_completion(judged, pk) for pk in shown],
        "ranking": [sorted(position[pk] for pk in group) for group in groups],
        "strengths": strengths,
        "prompt_id": str(judged.prompt.pk),
        "comparison_id": judged.comparison_id,
        "is_decision": judged.is_decided,
        "split": judged.prompt.split,
    }


def _completion(judged: JudgedComparison, pk: int) -> dict[str, Any]:
    completion = judged.completions[pk]
    return {
        "text": completion.text,
        "model": author_of(completion),
        "finish_reason": completion.finish_reason,
        "origin": completion.origin,
    }


def _who(judgment: FrozenJudgment) -> Row:
    return {
        "annotator": pseudonym(judgment.annotator_id),
        "kind": judgment.kind,
        "time": judgment.microseconds // 10**6,
        "judgment_id": judgment.pk,
        "all_bad": judgment.all_bad,
    }


def _by_majority(judged: JudgedComparison) -> list[list[int]]:
    """Groups, best first, of the completions that something is agreed on; empty where not all of it is.

    By how many others each stands above, less how many below (Copeland): which is a ranking of them where it says of
    each two what was agreed, and nothing else.
    """
    pairs = {(pair.chosen, pair.rejected) for pair in judged.consensus().pairs}
    ties = set(judged.ties())
    balance: Counter[int] = Counter()
    for pair in pairs:
        balance[pair[0]] += 1
        balance[pair[1]] -= 1
    for low, high in ties:
        balance[low] += 0
        balance[high] += 0
    for low, high in combinations(sorted(balance), 2):
        better, worse = (low, high) if balance[low] > balance[high] else (high, low)
        if (low, high) not in ties if balance[low] == balance[high] else (better, worse) not in pairs:
            return []
    found = sorted(set(balance.values()), reverse=True)
    return [sorted(pk for pk, value in balance.items() if value == wanted) for wanted in found]


def _note(view: View) -> str:
    if view.rows is Rows.MAJORITY:
        return (
            f"One row per comparison in which all is agreed on {view.agreed}: of each two of the completions that it "
            "names, their order, or that they are tied. A completion of which nothing is agreed is not named. A "
            "comparison of which another pair was dropped (too little agreement, too weak, unsafe above safe), or in "
            "which the agreed pairs run in a circle, gives no row: a ranking would say of it what nobody agreed on."
        )
    return (
        "One row per judgment: its groups of completions, best first, those of one group tied. It is "
        "whole: what the snapshot asks of a pair is not asked here."
    )


LAYOUT = Layout(
    key="rankings",
    label="K-way rankings",
    about="For whoever wants it all: a row per annotator with the whole ranking, its ties and its strengths.",
    features=features,
    rows=rows,
    meanings={
        "`prompt`": "chat messages",
        "`completions`": "what was ranked: `text`, and `model`, the name of who wrote it",
        "`ranking`": "groups of positions in `completions`, best first; those of one group are tied",
        "`strengths`": "how much better, between each two neighbouring groups",
        "`time`": "when it was judged, in seconds since 1970",
    },
    note=_note,
    has_rationales=True,
    tags=("ranking",),
)
