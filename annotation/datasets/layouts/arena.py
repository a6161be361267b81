"""Chatbot Arena's conversations: two models, who won, and the two whole conversations.

    {"question_id", "model_a", "model_b", "winner": "model_a"|"model_b"|"tie"|"tie (bothbad)", "judge",
     "conversation_a": [messages], "conversation_b": [messages], "turn": 1, "anony": true, "language", "tstamp"}

Dataset card of lmsys/chatbot_arena_conversations. Model a is that of the completion that was written first. A tie is
"(bothbad)" where the annotator found every completion bad. Annotators never see whose completion is which, so `anony`
is always true.
"""

from collections.abc import Iterator

from annotation.datasets.export_rows import Row, Rows, pseudonym
from annotation.datasets.frozen import FrozenJudgment, JudgedComparison, ranking_of
from annotation.datasets.layouts.layout import (
    MESSAGES,
    Features,
    Layout,
    View,
    author_of,
    conversation,
    metadata_text,
    reply,
)
from annotation.rules.consensus import tied_pairs

Won = dict[tuple[int, int], str]  # (a, b) by id -> winner
MAJORITY = "majority"


def features(view: View) -> Features:
    return {
        "question_id": "string",
        "model_a": "string",
        "model_b": "string",
        "winner": "string",
        "judge": "string",
        "conversation_a": MESSAGES,
        "conversation_b": MESSAGES,
        "turn": "int64",
        "anony": "bool",
        "language": "string",
        "tstamp": "float64",
    }


def rows(judged: JudgedComparison, view: View) -> Iterator[Row]:
    if view.rows is Rows.MAJORITY:
        yield from _rows(judged, _won_by_majority(judged), MAJORITY, None)
        return
    for judgment in judged.counting:
        seconds = float(judgment.microseconds // 10**6)  # to the second: more of it only tells people apart
        yield from _rows(judged, _won_by(judged, judgment), pseudonym(judgment.annotator_id), seconds)


def _won_by(judged: JudgedComparison, judgment: FrozenJudgment) -> Won:
    tie = "tie (bothbad)" if judgment.all_bad else "tie"
    won = dict.fromkeys(tied_pairs(ranking_of(judgment)), tie)
    return won | _winners((pair.chosen, pair.rejected) for pair in judged.pairs_by(judgment)[0])


def _won_by_majority(judged: JudgedComparison) -> Won:
    bad = sum(judgment.all_bad for judgment in judged.counting)
    tie = "tie (bothbad)" if 2 * bad > len(judged.counting) else "tie"
    won = dict.fromkeys(judged.ties(), tie)
    return won | _winners((pair.chosen, pair.rejected) for pair in judged.consensus().pairs)


def _winners(pairs: Iterator[tuple[int, int]]) -> Won:
    return {
        (min(chosen, rejected), max(chosen, rejected)): "model_a" if chosen < rejected else "model_b"
        for chosen, rejected in pairs
    }


def _rows(judged: JudgedComparison, won: Won, judge: str, seconds: float | None) -> Iterator[Row]:
    turns = conversation(judged)
    for (first, second), winner in sorted(won.items()):
        yield {
            "question_id": str(judged.prompt.pk),
            "model_a": author_of(judged.completions[first]) or "unknown",
            "model_b": author_of(judged.completions[second]) or "unknown",
            "winner": winner,
            "judge": judge,
            "conversation_a": [*turns, reply(judged.completions[first].text)],
            "conversation_b": [*turns, reply(judged.completions[second].text)],
            "turn": sum(turn["role"] == "user" for turn in turns),
            "anony": True,
            "language": metadata_text(judged, "language", "lang") or "unknown",
            "tstamp": seconds,
        }


def _note(view: View) -> str:
    what = "pair on which most agree" if view.rows is Rows.MAJORITY else "judgment and pair"
    return f"One row per {what}, ties included. `model_a` wrote the completion that is older."


LAYOUT = Layout(
    key="arena",
    label="Chatbot Arena",
    about="For win rates and ratings of models: who won between which two, with both conversations.",
    features=features,
    rows=rows,
    meanings={
        "`question_id`": "the prompt, in the installation that this comes from",
        "`model_a`, `model_b`": "who wrote the completions; `person` for an annotator's better answer",
        "`winner`": "`model_a`, `model_b`, `tie` or `tie (bothbad)`",
        "`judge`": "the annotator's pseudonym, or `majority`",
        "`conversation_a`, `conversation_b`": "the whole conversation with each completion",
        "`turn`": "user turns in it",
        "`anony`": "whether the judge did not know the models: always",
        "`language`": "of the prompt, where its metadata says so",
        "`tstamp`": "when it was judged, in seconds since 1970; null by majority",
    },
    note=_note,
    task="text-classification",
    tags=("arena",),
)
