"""UltraFeedback (dataset card of openbmb/UltraFeedback, arXiv 2310.01377) and what was binarized of it.

Whole: {"source", "instruction", "completions": [{"model", "response", "overall_score", "fine-grained_score",
"critique", "principle", "custom_system_prompt", "annotations": {aspect: {"Rating", "Rationale"}}}...]}: one ranking
of the four by GPT-4's overall score, equal ones tied; where one has none, by the mean of its aspects' ratings.

Binarized (HuggingFaceH4/ultrafeedback_binarized, trl-lib's copy): {"prompt", "prompt_id", "chosen": [turns],
"rejected": [turns], "messages", "score_chosen", "score_rejected"}: the best of the four beside one of the others, so
some pairs have equal scores; those are read as ties. GPT-4's scores begin at 1. Whetstone's own export has shares of
the votes as scores, which sum to 1 and do not say whose votes they are.
"""

from collections.abc import Iterator
from typing import Any

from sampling.intake.formats.conversations import answer, instruction, prompt
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has, is_list_of_objects
from sampling.intake.formats.preferences import by_scores, metadata_of, record, split_of
from sampling.intake.formats.trl_preference import read_pair
from sampling.intake.formats.values import PROMPT_FIELDS, absent, free_text, kept, name_of, number
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.json_lines import Unusable

_JUDGE = "gpt-4"


def recognises_whole(row: Row) -> bool:
    listed = row.get("completions")
    return has(row, "instruction") and is_list_of_objects(listed) and "response" in listed[0]


def reads_whole(row: Row) -> Iterator[Record]:
    listed = row.get("completions")
    if not is_list_of_objects(listed) or not all(isinstance(item, dict) for item in listed):
        raise Unusable('"completions" must be a list of {"model", "response", "overall_score"}.')
    completions = [_completion(item, f"completions[{at}]") for at, item in enumerate(listed)]
    judgments = [_judgment(listed, completions)] if len(listed) > 1 else []
    messages = prompt(instruction(row), "instruction")
    metadata = kept(row, "instruction", "input", "completions", "models", "split", "metadata", *PROMPT_FIELDS)
    yield record(messages, completions, judgments, metadata=metadata | metadata_of(row), of_split=split_of(row))


def _completion(item: Row, name: str) -> FoundCompletion:
    told = kept(item, only=("overall_score", "fine-grained_score", "principle", "custom_system_prompt"))
    if ratings := _ratings(item, name):
        told["ratings"] = ratings
    written = answer(item.get("response"), f"{name}.response")
    return FoundCompletion(written, name_of(item.get("model"), name), told)


def _ratings(item: Row, name: str) -> dict[str, float]:
    aspects = item.get("annotations")
    if not isinstance(aspects, dict):
        return {}
    found = {}
    for aspect, said in aspects.items():
        rating = said.get("Rating") if isinstance(said, dict) else None
        if not absent(rating) and rating != "N/A":
            found[str(aspect)] = number(rating, f"{name}.annotations.Rating")
    return found


def _judgment(listed: list[Row], completions: list[FoundCompletion]) -> FoundJudgment:
    scores = [item.get("overall_score") for item in listed]
    rule = "overall_score"
    if any(absent(score) for score in scores):
        scores = [_mean_rating(item, completion) for item, completion in zip(listed, completions, strict=True)]
        rule = "fine-grained_score"
    found = [number(score, rule) for score in scores]
    critiques = (
        (completion.writer or f"completion {at + 1}", free_text(item.get("critique"), "critique"))
        for at, (item, completion) in enumerate(zip(listed, completions, strict=True))
    )
    return FoundJudgment(
        by_scores(found),
        annotator=_JUDGE,
        by=JudgedBy.MODEL,
        rationale="\n\n".join(f"{writer}: {critique}" for writer, critique in critiques if critique),
        source={"ranked_by": rule, "scores": found},
    )


def _mean_rating(item: Row, completion: FoundCompletion) -> Any:
    if not absent(item.get("fine-grained_score")):
        return item["fine-grained_score"]
    ratings = list(completion.metadata.get("ratings", {}).values())
    return sum(ratings) / len(ratings) if ratings else None


def recognises_binarized(row: Row) -> bool:
    return has(row, "chosen", "rejected", "score_chosen", "score_rejected")


def reads_binarized(row: Row) -> Iterator[Record]:
    scores = [number(row.get(name), name) for name in ("score_chosen", "score_rejected")]
    rest = {name: value for name, value in row.items() if name != "messages"}  # the same as "chosen"
    are_shares = sum(scores) == 1 and min(scores) >= 0
    by = JudgedBy.MODEL if not are_shares else JudgedBy.VOTES if min(scores) else JudgedBy.UNKNOWN
    yield read_pair(rest, by=by, is_tie=scores[0] == scores[1])


FORMATS = (
    Format(
        key="ultrafeedback",
        label="UltraFeedback",
        example=(
            '{"source": "evol_instruct", "instruction": "Name a fruit.", "completions": [{"model": "a", "response": '
            '"Apple.", "overall_score": 8.0}, {"model": "b", "response": "A stone.", "overall_score": 2.0}]}'
        ),
        gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
        recognises=recognises_whole,
        reads=reads_whole,
    ),
    Format(
        key="ultrafeedback_binarized",
        label="UltraFeedback binarized",
        example=(
            '{"prompt": "Hi", "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": '
            '"Hello!"}], "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Bye."}], '
            '"score_chosen": 8.5, "score_rejected": 4.0}'
        ),
        gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
        recognises=recognises_binarized,
        reads=reads_binarized,
    ),
)
