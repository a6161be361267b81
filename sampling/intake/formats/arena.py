"""Chatbot Arena's conversations (dataset card of lmsys/chatbot_arena_conversations) and MT-bench's human judgments:
{"question_id", "model_a", "model_b", "winner": "model_a", "model_b", "tie" or "tie (bothbad)", "judge",
"conversation_a", "conversation_b", "turn", "language", "tstamp"}.

"turn" is how many exchanges were judged; MT-bench's rows of turn 1 hold the second as well, which is cut off. Where
the models answered differently before the last turn, no prompt is answered by both, and the row is told: of Arena's
rows those of one turn can be used. A judge named after a model is one; everybody else is a person, except "majority",
which Whetstone's own export writes for what most annotators agree on.
"""

from collections.abc import Iterator

from sampling.intake.formats import conversations
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has
from sampling.intake.formats.preferences import FIRST, SECOND, TIE, metadata_of, record, split_of, strength_of
from sampling.intake.formats.values import (
    PROMPT_FIELDS,
    absent,
    free_text,
    judged_by,
    kept,
    name_of,
    number,
    optional_number,
    time,
    who,
)
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Message, Record
from sampling.json_lines import Unusable, shorten

_WINNERS = {
    "model_a": (FIRST, False),
    "model_b": (SECOND, False),
    "tie": (TIE, False),
    "tie (inconsistent)": (TIE, False),  # a model judge that changed its mind with the order
    "tie (bothbad)": (TIE, True),
    "both_bad": (TIE, True),
    "bothbad": (TIE, True),
}
MAJORITY = "majority"
_MODELS = ("gpt", "claude", "gemini", "llama", "qwen", "mistral", "deepseek")
_READ = (
    "model_a", "model_b", "winner", "judge", "conversation_a", "conversation_b", "tstamp", "timestamp", "strength",
    "kind", "rationale", "seconds_spent", "split", "metadata", "openai_moderation", "toxic_chat_tag", *PROMPT_FIELDS,
)  # fmt: skip


def recognises(row: Row) -> bool:
    return has(row, "conversation_a", "conversation_b", "winner")


def reads(row: Row) -> Iterator[Record]:
    before, first = _exchange(row, "conversation_a")
    other, second = _exchange(row, "conversation_b")
    if before != other:
        raise Unusable(
            "The two conversations differ before their last answers, so no prompt is answered by both. Keep only "
            "their first turn, or leave the row out."
        )
    completions = [
        FoundCompletion(first, _model(row, "model_a")),
        FoundCompletion(second, _model(row, "model_b")),
    ]
    yield record(before, completions, [_judgment(row)], metadata=metadata_of(row), of_split=split_of(row))


def _exchange(row: Row, name: str) -> tuple[tuple[Message, ...], str]:
    turns = conversations.conversation(row.get(name), name, may_end_empty=True)
    if not absent(row.get("turn")):
        judged = int(number(row["turn"], "turn"))
        if judged < 1:
            raise Unusable(f'"turn" is {judged}; it must be the number of exchanges that were judged, at least 1.')
        asked = [at for at, turn in enumerate(turns) if turn["role"] == "user"]
        if len(asked) > judged:
            turns = turns[: asked[judged]]
    last = conversations.answer_of(turns, name)
    return conversations.answerable(turns[:-1], name), last


def _model(row: Row, name: str) -> str:
    model = name_of(row.get(name), name)
    return "" if model == "unknown" else model


def _judgment(row: Row) -> FoundJudgment:
    winner = row.get("winner")
    if not isinstance(winner, str) or winner not in _WINNERS:
        raise Unusable(f'"winner" is unknown ({shorten(repr(winner))}); it must be one of {", ".join(_WINNERS)}.')
    groups, all_bad = _WINNERS[winner]
    strength = strength_of(row.get("strength")) if len(groups) == 2 else ""
    judge = who(row.get("judge"))
    kind = judged_by(row["kind"]) if row.get("kind") is not None else _kind_of(judge)
    when = "tstamp" if not absent(row.get("tstamp")) else "timestamp"
    return FoundJudgment(
        groups=groups,
        strengths=(strength,) if strength else (),
        annotator="" if kind is JudgedBy.VOTES else judge,
        by=kind,
        at=time(row.get(when), when),
        rationale=free_text(row.get("rationale"), "rationale"),
        seconds_spent=optional_number(row.get("seconds_spent"), "seconds_spent"),
        all_bad=all_bad or row.get("all_bad") is True,
        source={"winner": winner, **kept(row, *_READ)},
    )


def _kind_of(judge: str) -> JudgedBy:
    if judge == MAJORITY:
        return JudgedBy.VOTES
    return JudgedBy.MODEL if judge.lower().startswith(_MODELS) else JudgedBy.PERSON


FORMAT = Format(
    key="arena",
    label="Chatbot Arena",
    example=(
        '{"question_id": "q1", "model_a": "our-7b", "model_b": "our-13b", "winner": "tie (bothbad)", "judge": '
        '"arena_user_7", "conversation_a": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "No."}'
        '], "conversation_b": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Bye."}], "turn": 1,'
        ' "language": "English", "tstamp": 1682351591.1}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
