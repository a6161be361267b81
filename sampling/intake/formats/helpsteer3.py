"""NVIDIA's HelpSteer3, its preferences (dataset card, arXiv 2505.11475): {"domain", "language", "context": [turns],
"response1", "response2", "overall_preference": -3 to 3 (negative: the first is better), "individual_preference":
[{"score", "reasoning", "feedback1", "feedback2"}...]}.

3, 2 and 1 are significantly better, better and slightly better; 0 is a tie. Each individual preference is a judgment,
of "annotator 1", "annotator 2" ...: the card names nobody, and who is meant differs from row to row. Whetstone's own
export names a pseudonym ("annotator"), and what it knows beside: strength, kind, time. Rows without individuals have
one judgment, of the overall preference.
"""

from collections.abc import Iterator
from typing import Any

from sampling.intake.formats import conversations
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has, has_any
from sampling.intake.formats.helpsteer2 import LEVELS
from sampling.intake.formats.preferences import metadata_of, on_helpsteer_scale, record, split_of, strength_of
from sampling.intake.formats.values import free_text, judged_by, kept, name_of, time, who, whole
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.json_lines import Unusable, kind

_INDIVIDUAL = "individual_preference"
_READ = (
    "score", "reasoning", "annotator", "kind", "strength", "time", "all_bad", "domain", "language", "context",
    "response1", "response2", "model1", "model2", "overall_preference", "split", "metadata", _INDIVIDUAL,
)  # fmt: skip


def recognises(row: Row) -> bool:
    return has(row, "context", "response1", "response2") and has_any(row, "overall_preference", _INDIVIDUAL)


def reads(row: Row) -> Iterator[Record]:
    messages = conversations.prompt(row.get("context"), "context")
    completions = [
        FoundCompletion(
            conversations.answer(row.get(f"response{n}"), f"response{n}"), name_of(row.get(f"model{n}"), "model")
        )
        for n in (1, 2)
    ]
    individuals = row.get(_INDIVIDUAL)
    judgments = list(_individuals(individuals)) if individuals else []
    if not judgments:
        judgments = [_judgment(row, "overall_preference", "")]
    metadata = {**metadata_of(row), **kept(row, only=("overall_preference",))}
    if "domain" in metadata:
        metadata["category"] = metadata.pop("domain")
    yield record(messages, completions, judgments, metadata=metadata, of_split=split_of(row))


def _individuals(individuals: Any) -> Iterator[FoundJudgment]:
    if not isinstance(individuals, list) or not all(isinstance(one, dict) for one in individuals):
        raise Unusable(f'"{_INDIVIDUAL}" is {kind(individuals)}; it must be a list of {{"score", "reasoning"}}.')
    for at, one in enumerate(individuals):
        yield _judgment(one, "score", who(one.get("annotator")) or f"annotator {at + 1}")


def _judgment(said: Row, score: str, annotator: str) -> FoundJudgment:
    level = whole(said.get(score), score, LEVELS)
    groups, strengths = on_helpsteer_scale(level)
    if len(groups) == 2 and (strength := strength_of(said.get("strength"))):
        strengths = (strength,)  # ours has a fourth level, which the score rounds
    return FoundJudgment(
        groups=groups,
        strengths=strengths,
        annotator=annotator,
        by=judged_by(said["kind"]) if said.get("kind") is not None else JudgedBy.PERSON,
        at=time(said.get("time"), "time"),
        rationale=free_text(said.get("reasoning"), "reasoning"),
        all_bad=said.get("all_bad") is True,
        source={score: level, **kept(said, *_READ)},
    )


FORMAT = Format(
    key="helpsteer3",
    label="HelpSteer3 preferences",
    example=(
        '{"domain": "code", "language": "python", "context": [{"role": "user", "content": "Add two numbers."}], '
        '"response1": "a + b", "response2": "a - b", "overall_preference": -3, '
        '"individual_preference": [{"score": -3, "reasoning": "The second subtracts."}]}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
