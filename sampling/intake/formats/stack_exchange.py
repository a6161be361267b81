"""StackExchange's questions with their answers, ranked by upvotes as StackLLaMA does it (Beeching et al. 2023, after
Askell et al., arXiv 2112.00861, section 4): score = log2(1 + upvotes), rounded to the nearest integer, plus 1 for the
accepted answer; -1 where the upvotes are below zero. Equal scores are tied.

HuggingFaceH4/stack-exchange-preferences has {"qid", "question", "answers": [{"answer_id", "text", "pm_score" (that
score), "selected", "author", ...}], "date", "metadata": [addresses]}; other tables have the upvotes themselves, as
"upvotes", "score" or "votes". StackLLaMA trains on at most ten pairs of a question; here the best nine answers are
ranked, as many as one comparison may have, and the others left out. Authors are not kept. Texts stay as they are:
in the dumps they are HTML.

lvwerra/stack-exchange-paired has {"question", "response_j", "response_k"}: j has the higher score.
"""

from collections.abc import Iterator
from math import log2

from sampling.intake.formats.conversations import answer, prompt
from sampling.intake.formats.format import (
    COMPLETIONS,
    JUDGMENTS,
    PROMPTS,
    Format,
    Row,
    has,
    has_any,
    is_list_of_objects,
)
from sampling.intake.formats.preferences import FIRST, by_scores, record, split_of
from sampling.intake.formats.values import absent, first_of, kept, number
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.json_lines import Unusable

MOST_RANKED = 9
_UPVOTES = ("upvotes", "score", "votes")
_ACCEPTED = ("selected", "accepted", "is_accepted")
_TEXT = ("text", "body", "answer")


def score_of(upvotes: float, *, accepted: bool) -> int:
    if upvotes < 0:
        return -1
    return round(log2(1 + upvotes)) + accepted


def recognises(row: Row) -> bool:
    answers = row.get("answers")
    return has(row, "question") and is_list_of_objects(answers) and has_any(answers[0], *_TEXT)


def reads(row: Row) -> Iterator[Record]:
    answers = row.get("answers")
    if not is_list_of_objects(answers) or not all(isinstance(item, dict) for item in answers):
        raise Unusable('"answers" must be a list of {"text", "upvotes", "accepted"}.')
    scores = [_score(item, f"answers[{at}]") for at, item in enumerate(answers)]
    best = sorted(sorted(range(len(answers)), key=lambda at: -scores[at])[:MOST_RANKED])
    completions = [_completion(answers[at], f"answers[{at}]", scores[at]) for at in best]
    judgments = []
    if len(best) > 1:
        kept_scores = [scores[at] for at in best]
        source = kept(row, only=("qid", "id")) | {"scores": kept_scores}
        judgments.append(FoundJudgment(by_scores(kept_scores), by=JudgedBy.VOTES, source=source))
    metadata = kept(row, "question", "answers", "split")
    yield record(
        prompt(row.get("question"), "question"), completions, judgments, metadata=metadata, of_split=split_of(row)
    )


def _score(item: Row, name: str) -> int:
    if not absent(item.get("pm_score")):
        return round(number(item["pm_score"], f"{name}.pm_score"))
    upvotes = first_of(item, *_UPVOTES)
    if upvotes is None:
        raise Unusable(f'"{name}" has neither "pm_score" nor upvotes. Name the field that holds them "upvotes".')
    accepted = first_of(item, *_ACCEPTED)
    return score_of(number(upvotes, f"{name}.upvotes"), accepted=accepted in (True, 1))


def _completion(item: Row, name: str, score: int) -> FoundCompletion:
    told = kept(item, only=("answer_id", *_UPVOTES, *_ACCEPTED)) | {"pm_score": score}
    return FoundCompletion(answer(first_of(item, *_TEXT), f"{name}.text"), metadata=told)


def recognises_paired(row: Row) -> bool:
    return has(row, "question", "response_j", "response_k")


def reads_paired(row: Row) -> Iterator[Record]:
    completions = [FoundCompletion(answer(row.get(name), name)) for name in ("response_j", "response_k")]
    judgment = FoundJudgment(FIRST, by=JudgedBy.VOTES, source=kept(row, only=("qid", "id")))
    metadata = kept(row, "question", "response_j", "response_k", "split")
    messages = prompt(row.get("question"), "question")
    yield record(messages, completions, [judgment], metadata=metadata, of_split=split_of(row))


FORMATS = (
    Format(
        key="stack_exchange",
        label="StackExchange answers with upvotes",
        example=(
            '{"qid": 7, "question": "How do I sort a list?", "answers": [{"text": "sorted(xs)", "upvotes": 12, '
            '"accepted": true}, {"text": "By hand.", "upvotes": -2, "accepted": false}]}'
        ),
        gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
        recognises=recognises,
        reads=reads,
    ),
    Format(
        key="stack_exchange_paired",
        label="StackExchange pairs",
        example='{"question": "How do I sort a list?", "response_j": "sorted(xs)", "response_k": "By hand."}',
        gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
        recognises=recognises_paired,
        reads=reads_paired,
    ),
)
