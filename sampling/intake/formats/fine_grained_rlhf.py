"""Fine-Grained RLHF's questions (github.com/allenai/FineGrainedRLHF, tasks/qa_feedback/data/README.md): {"question",
"passages": [[title, sentence...]...], "prediction 1" ... "prediction 4", "preference": six of 0, 1, 2, "gold",
"feedback"}.

The six are of the pairs 1-2, 1-3, 1-4, 2-3, 2-4, 3-4: 1 for the first, 2 for the second, 0 for neither. Where one
ranking says all six (of the 500 here in 478), it is one judgment of the four; where they go round in a circle no
ranking does, and each pair is a record of its own, so that nothing is invented or lost. The prompt is what the
models were given, question and passages, in the words of that repository's own training files.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from sampling.intake.formats.conversations import answer
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has
from sampling.intake.formats.preferences import FIRST, SECOND, TIE, Groups, by_scores, record, split_of
from sampling.intake.formats.values import absent, kept, whole
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.json_lines import Unusable, text

_PREDICTIONS = tuple(f"prediction {n}" for n in range(1, 5))
_PAIRS = tuple(combinations(range(4), 2))
_GROUPS = (TIE, FIRST, SECOND)  # by what is written: 0, 1, 2


def recognises(row: Row) -> bool:
    return has(row, "question", "preference", *_PREDICTIONS)


def reads(row: Row) -> Iterator[Record]:
    completions = [FoundCompletion(answer(row.get(name), name)) for name in _PREDICTIONS]
    messages = [{"role": "user", "content": _prompt(row)}]
    written = row.get("preference")
    if not isinstance(written, list) or len(written) != len(_PAIRS):
        raise Unusable('"preference" must be a list of six: 1-2, 1-3, 1-4, 2-3, 2-4, 3-4, each 0, 1 or 2.')
    said = {pair: whole(value, "preference", (0, 1, 2)) for pair, value in zip(_PAIRS, written, strict=True)}
    source = {"preference": list(said.values())}
    metadata = kept(row, only=("question", "id"))
    groups = ranking_of(said)
    if groups is not None:
        judgment = FoundJudgment(groups, by=JudgedBy.PERSON, source=source)
        yield record(messages, completions, [judgment], metadata=metadata, of_split=split_of(row))
        return
    for (low, high), value in said.items():
        judgment = FoundJudgment(_GROUPS[value], by=JudgedBy.PERSON, source=source | {"not_transitive": True})
        pair = [completions[low], completions[high]]
        yield record(messages, pair, [judgment], metadata=metadata, of_split=split_of(row))


def ranking_of(said: dict[tuple[int, int], int]) -> Groups | None:
    """The one ranking that says all of these pairs; None where there is none."""
    balance = [0] * 4
    for (low, high), value in said.items():
        if value:
            balance[low] += 1 if value == 1 else -1
            balance[high] += 1 if value == 2 else -1
    # Where there is a ranking, this balance orders as it does (Copeland), so that one check is enough.
    for (low, high), value in said.items():
        if value != (0 if balance[low] == balance[high] else 1 if balance[low] > balance[high] else 2):
            return None
    return by_scores(balance)


def _prompt(row: Row) -> str:
    question = f"question: {text(row.get('question'), 'question')}"
    passages = row.get("passages")
    if absent(passages) or passages == []:
        return question
    if not isinstance(passages, list):
        raise Unusable('"passages" must be a list of [title, sentence ...].')
    return f"{question} context: " + " | ".join(map(_passage, passages))


def _passage(passage: Any) -> str:
    if not isinstance(passage, list) or not passage:
        raise Unusable('"passages" must be a list of [title, sentence ...].')
    title, *sentences = (text(part, "passages") for part in passage)
    return f"wikipage: {title} text: {' '.join(sentences)}"


FORMAT = Format(
    key="fine_grained_rlhf",
    label="Fine-Grained RLHF",
    example=(
        '{"question": "Who wrote it?", "passages": [["The book", "It is by Ann Lee."]], "prediction 1": "Ann Lee.", '
        '"prediction 2": "Ann.", "prediction 3": "Bob.", "prediction 4": "Nobody.", "preference": [1, 1, 1, 1, 1, 0]}'
    ),
    gives=frozenset({PROMPTS, COMPLETIONS, JUDGMENTS}),
    recognises=recognises,
    reads=reads,
)
