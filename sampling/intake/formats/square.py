"""SQuARe's Korean responses to sensitive questions (github.com/naver-ai/korean-safety-benchmarks): {"question",
"response", "acceptable?": 0 or 1, "category": [...], "raw_annotations": {"Q2: ...": [{"workerID", "acceptable?"}]}}.

One response a row and no comparison: the verdict and the votes for it stay with the completion, as metadata, counted
and without the workers' ids.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sampling.intake.formats.conversations import answer, prompt
from sampling.intake.formats.format import COMPLETIONS, PROMPTS, Format, Row, has
from sampling.intake.formats.preferences import record, split_of
from sampling.intake.formats.values import kept, storable
from sampling.intake.records import FoundCompletion, Record

_VERDICT = "acceptable?"


def recognises(row: Row) -> bool:
    return has(row, "question", "response", _VERDICT)


def reads(row: Row) -> Iterator[Record]:
    told = kept({"acceptable": row.get(_VERDICT), "category": row.get("category")})
    if votes := _votes(row.get("raw_annotations")):
        told["votes"] = votes
    completion = FoundCompletion(answer(row.get("response"), "response"), metadata=told)
    metadata = kept({"category": row.get("question_category")})
    yield record(prompt(row.get("question"), "question"), [completion], metadata=metadata, of_split=split_of(row))


def _votes(annotations: Any) -> dict[str, int]:
    if not isinstance(annotations, dict):
        return {}
    votes: Counter[str] = Counter()
    for answers in annotations.values():
        for said in answers if isinstance(answers, list) else ():
            verdict = said.get(_VERDICT) if isinstance(said, dict) else None
            if isinstance(verdict, str) and len(verdict) <= 100:
                votes[storable(verdict, _VERDICT)] += 1
    return dict(votes)


FORMAT = Format(
    key="square",
    label="SQuARe's responses",
    example='{"question": "Is it right?", "response": "People differ.", "acceptable?": 1, "category": ["inclusive"]}',
    gives=frozenset({PROMPTS, COMPLETIONS}),
    recognises=recognises,
    reads=reads,
)
