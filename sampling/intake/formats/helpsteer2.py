"""NVIDIA's HelpSteer2: ratings of single answers, and preferences between two (dataset card, arXiv 2406.08673,
2410.01257).

train.jsonl has {"prompt", "response", "helpfulness", "correctness", "coherence", "complexity", "verbosity"}, 0 to 4;
two rows after each other share a prompt. Rows are read one by one, so the ratings stay with the completion, as
metadata; the preferences of the same pairs are their own file: preference.jsonl, {"split", "prompt", "response_1",
"response_2", "preference_strength": -3 to 3 (negative: the first is better), "preference_statement",
"preference_elaboration", "three_most_similar_preferences": [{"statement", "elaboration", "strength"}...],
"all_preferences_unprocessed": [...]}.

Each of the three most similar is a judgment, of "annotator 1" to "annotator 3": the card's preference_strength is
their mean, rounded. Who of the crowd is meant differs from row to row. What the card drops as outliers, and -100 for
"neither is valid", is dropped here too. Rows without the three have one judgment, of the overall strength.
Turns in a prompt are parted by <extra_id_1>User and <extra_id_1>Assistant.
"""

import re
from collections.abc import Iterator
from typing import Any

from sampling.intake.formats.conversations import answer, answerable, conversation
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has, has_any
from sampling.intake.formats.preferences import metadata_of, on_helpsteer_scale, record, split_of
from sampling.intake.formats.values import free_text, kept, whole
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Message, Record
from sampling.json_lines import Unusable, kind, text

_TURN = re.compile(r"\s*<extra_id_1>(User|Assistant)\s*")
_RATINGS = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_THREE = "three_most_similar_preferences"
_OF_THE_WHOLE = ("preference_statement", "preference_elaboration")
LEVELS = range(-3, 4)


def prompt_of_turns(value: Any) -> tuple[Message, ...]:
    pieces = _TURN.split(text(value, "prompt"))
    turns = [{"role": "user", "content": pieces[0]}] if pieces[0].strip() else []
    for speaker, said in zip(pieces[1::2], pieces[2::2], strict=True):
        turns.append({"role": speaker.lower(), "content": said})
    return answerable(conversation(turns, "prompt"), "prompt")


def recognises_ratings(row: Row) -> bool:
    return has(row, "prompt", "response", "helpfulness") and has_any(row, *_RATINGS[1:])


def reads_ratings(row: Row) -> Iterator[Record]:
    ratings = kept(row, only=_RATINGS)
    completion = FoundCompletion(answer(row.get("response"), "response"), metadata=ratings)
    messages = prompt_of_turns(row.get("prompt"))
    metadata = kept(row, "prompt", "response", "split", "metadata", *_RATINGS) | metadata_of(row)
    yield record(messages, [completion], metadata=metadata, of_split=split_of(row))


def recognises_preferences(row: Row) -> bool:
    return has(row, "prompt", "response_1", "response_2", "preference_strength")


def reads_preferences(row: Row) -> Iterator[Record]:
    completions = [FoundCompletion(answer(row.get(name), name)) for name in ("response_1", "response_2")]
    messages = prompt_of_turns(row.get("prompt"))
    three = row.get(_THREE)
    judgments = list(_individuals(three)) if three else []
    if not judgments:
        level = whole(row.get("preference_strength"), "preference_strength", LEVELS)
        reasons = (free_text(row.get(name), name) for name in _OF_THE_WHOLE)
        judgments = [_judgment(level, "\n\n".join(filter(None, reasons)))]
    metadata = kept(row, only=("preference_strength",)) | metadata_of(row)
    yield record(messages, completions, judgments, metadata=metadata, of_split=split_of(row))


def _individuals(three: Any) -> Iterator[FoundJudgment]:
    if not isinstance(three, list) or not all(isinstance(one, dict) for one in three):
        raise Unusable(f'"{_THREE}" is {kind(three)}; it must be a list of {{"statement", "elaboration", "strength"}}.')
    for at, one in enumerate(three):
        if one.get("strength") == -100:  # neither answer is valid
            continue
        level = whole(one.get("strength"), f"{_THREE}[{at}].strength", LEVELS)
        reasons = (free_text(one.get(name), f"{_THREE}[{at}].{name}") for name in ("statement", "elaboration"))
        yield _judgment(level, "\n\n".join(filter(None, reasons)), f"annotator {at + 1}")


def _judgment(level: int, rationale: str, annotator: str = "") -> FoundJudgment:
    groups, strengths = on_helpsteer_scale(level)
    return FoundJudgment(
        groups, strengths, annotator, JudgedBy.PERSON, rationale=rationale, source={"preference_strength": level}
    )


FORMATS = (
    Format(
        key="helpsteer2_preference",
        label="HelpSteer2 preferences",
        example=(
            '{"prompt": "What is C#?", "response_1": "A language by Microsoft.", "response_2": "A note.", '
            '"preference_strength": -2, "preference_statement": "@Response 1 is better.", "split": "train"}'
        ),
        gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
        recognises=recognises_preferences,
        reads=reads_preferences,
    ),
    Format(
        key="helpsteer2",
        label="HelpSteer2 ratings",
        example=(
            '{"prompt": "What is C#?", "response": "A language by Microsoft.", "helpfulness": 3, "correctness": 4, '
            '"coherence": 4, "complexity": 2, "verbosity": 1}'
        ),
        gives=frozenset({PROMPTS, COMPLETIONS}),
        recognises=recognises_ratings,
        reads=reads_ratings,
    ),
)
