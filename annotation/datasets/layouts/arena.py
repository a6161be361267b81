"""Chatbot Arena's conversations: two models, who won, and the two whole conversations.

    {"question_id", "model_a", "model_b", "winner": "model_a"|"model_b"|"tie"|"tie (bothbad)", "judge",
     "conversation_a": [messages], "conversation_b": [messages], "turn": 1, "anony": true, "language", "tstamp"}

Dataset card of lmsys/chatbot_arena_conversations. Model a is that of the completion that was written first. A tie is
"(bothbad)" where the annotator found every completion bad. Whoever judges here never sees whose completion is which,
so `anony` is true; of what was judged elsewhere it is not known, and null. The published set has one row a question:
ours has one a pair and judgment, so `question_id` names these too. Its `openai_moderation` and `toxic_chat_tag` are
left out: nothing here was looked at by such a model.
"""

from collections.abc import Iterator, Sequence

from annotation.datasets.export_rows import Row, Rows, pseudonym
from annotation.datasets.frozen import FrozenJudgment, JudgedComparison
from annotation.datasets.layouts.layout import (
    MESSAGES,
    Features,
    Layout,
    View,
    author_of,
    conversation,
    metadata_text,
    reply,
    ties_in_words,
)
from annotation.models import JudgeKind

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
        yield from _rows(judged, _won_by_majority(judged), MAJORITY, None, judged.counting)
        return
    for judgment in judged.counting:
        seconds = float(judgment.microseconds // 10**6)  # to the second: more of it only tells people apart
        yield from _rows(judged, _won_by(judged, judgment), pseudonym(judgment.annotator_id), seconds, [judgment])


def _won_by(judged: JudgedComparison, judgment: FrozenJudgment) -> Won:
    tie = "tie (bothbad)" if judgment.all_bad else "tie"
    kept = judged.kept_pairs(judgment)
    return dict.fromkeys(kept.ties, tie) | _winners((pair.chosen, pair.rejected) for pair in kept.pairs)


def _won_by_majority(judged: JudgedComparison) -> Won:
    tie = "tie (bothbad)" if judged.is_all_bad else "tie"
    won = dict.fromkeys(judged.ties(), tie)
    return won | _winners((pair.chosen, pair.rejected) for pair in judged.consensus().pairs)


def _winners(pairs: Iterator[tuple[int, int]]) -> Won:
    return {
        (min(chosen, rejected), max(chosen, rejected)): "model_a" if chosen < rejected else "model_b"
        for chosen, rejected in pairs
    }


def _rows(
    judged: JudgedComparison, won: Won, judge: str, seconds: float | None, said_by: Sequence[FrozenJudgment]
) -> Iterator[Row]:
    turns = conversation(judged)
    of_one = [said_by[0].pk] if seconds is not None else []
    is_known = all(judgment.kind != JudgeKind.IMPORTED and not judgment.source for judgment in said_by)
    for (first, second), winner in sorted(won.items()):
        yield {
            "question_id": "-".join(map(str, (judged.prompt.pk, judged.comparison_id, first, second, *of_one))),
            "model_a": author_of(judged.completions[first]) or "unknown",
            "model_b": author_of(judged.completions[second]) or "unknown",
            "winner": winner,
            "judge": judge,
            "conversation_a": [*turns, reply(judged.completions[first].text)],
            "conversation_b": [*turns, reply(judged.completions[second].text)],
            "turn": sum(turn["role"] == "user" for turn in turns),
            "anony": True if is_known else None,
            "language": metadata_text(judged, "language", "lang") or "unknown",
            "tstamp": seconds,
        }


def _note(view: View) -> str:
    what = f"pair that is agreed on {view.agreed}" if view.rows is Rows.MAJORITY else "judgment and pair"
    return (
        f"One row per {what}, {ties_in_words()} `model_a` wrote the completion that is older. The published set's "
        "`openai_moderation` and `toxic_chat_tag` are missing: nothing here was looked at by such a model."
    )


LAYOUT = Layout(
    key="arena",
    label="Chatbot Arena",
    about="For win rates and ratings of models: who won between which two, with both conversations.",
    features=features,
    rows=rows,
    meanings={
        "`question_id`": "one a row: prompt, comparison, both completions and, of a row per judgment, the judgment, by "
        "their ids in the installation that this comes from",
        "`model_a`, `model_b`": "who wrote the completions; `person` for an annotator's better answer",
        "`winner`": "`model_a`, `model_b`, `tie` or `tie (bothbad)`",
        "`judge`": "the annotator's pseudonym, or `majority` for what is agreed on",
        "`conversation_a`, `conversation_b`": "the whole conversation with each completion",
        "`turn`": "user turns in it",
        "`anony`": "true: the judge was not shown the models; null for what was judged elsewhere",
        "`language`": "of the prompt, where its metadata says so",
        "`tstamp`": "when it was judged, in seconds since 1970; null by majority",
    },
    note=_note,
    task="text-classification",
    tags=("arena",),
)
