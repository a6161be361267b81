"""Published evaluations of two answers, small enough to stand in one file: PandaLM's, Tulu 1's, LLMBar.

PandaLM (github.com/WeOpenML/PandaLM, data/testset-v1.json): {"idx", "instruction", "input", "response1", "response2",
"cmp_key": "modelA_modelB", "annotator1" ... "annotator3": 0 tie, 1, 2}: a judgment of each annotator.

Tulu 1 (github.com/allenai/open-instruct, human_eval): {"prompt", "model_a", "model_b", "completion_a", "completion_b",
"preference": "a-is-better", "a-is-slightly-better", "tie" ..., "completion_a_is_acceptable": "yes" or "no",
"evaluator", "timestamp"}: what is acceptable becomes a mark, the aspect "acceptable", 1 or 0.

LLMBar (github.com/princeton-nlp/LLMBar): {"input", "output_1", "output_2", "label": 1 or 2}: the label is the answer
that the authors agree on.
"""

from collections.abc import Iterator

from sampling.intake.formats.conversations import answer, instruction, prompt
from sampling.intake.formats.format import COMPLETIONS, JUDGMENTS, PROMPTS, Format, Row, has
from sampling.intake.formats.preferences import FIRST, SECOND, TIE, record, split_of
from sampling.intake.formats.values import absent, free_text, kept, name_of, time, who, whole
from sampling.intake.records import FoundCompletion, FoundJudgment, JudgedBy, Record
from sampling.json_lines import Unusable, shorten

_BY_NUMBER = (TIE, FIRST, SECOND)
_TULU = {
    "a-is-better": (FIRST, ("better",)),
    "a-is-slightly-better": (FIRST, ("slightly_better",)),
    "tie": (TIE, ()),
    "b-is-slightly-better": (SECOND, ("slightly_better",)),
    "b-is-better": (SECOND, ("better",)),
}
_ANNOTATORS = ("annotator1", "annotator2", "annotator3")
_ALL = frozenset({PROMPTS, COMPLETIONS, JUDGMENTS})


def recognises_pandalm(row: Row) -> bool:
    return has(row, "instruction", "response1", "response2", "annotator1")


def reads_pandalm(row: Row) -> Iterator[Record]:
    models = name_of(row.get("cmp_key"), "cmp_key").split("_")
    writers = models if len(models) == 2 else ["", ""]
    completions = [
        FoundCompletion(answer(row.get(name), name), writer)
        for name, writer in zip(("response1", "response2"), writers, strict=True)
    ]
    source = kept(row, only=("idx", "cmp_key"))
    judgments = [
        FoundJudgment(_BY_NUMBER[whole(row[name], name, (0, 1, 2))], (), name, JudgedBy.PERSON, source=source)
        for name in _ANNOTATORS
        if not absent(row.get(name))
    ]
    metadata = kept(row, only=("motivation_app",))
    messages = prompt(instruction(row), "instruction")
    yield record(messages, completions, judgments, metadata=metadata, of_split=split_of(row))


def recognises_tulu(row: Row) -> bool:
    said = row.get("preference")
    return has(row, "prompt", "completion_a", "completion_b") and isinstance(said, str) and said in _TULU


def reads_tulu(row: Row) -> Iterator[Record]:
    completions = [
        FoundCompletion(
            answer(row.get(f"completion_{side}"), f"completion_{side}"), name_of(row.get(f"model_{side}"), "model")
        )
        for side in "ab"
    ]
    said = row.get("preference")
    if not isinstance(said, str) or said not in _TULU:
        raise Unusable(f'"preference" is unknown ({shorten(repr(said))}); it must be one of {", ".join(_TULU)}.')
    groups, strengths = _TULU[said]
    judgment = FoundJudgment(
        groups,
        strengths,
        who(row.get("evaluator")),
        JudgedBy.PERSON,
        time(row.get("timestamp"), "timestamp"),
        free_text(row.get("comment"), "comment"),
        marks={at: mark for at, side in enumerate("ab") if (mark := _acceptable(row, side))},
        source=kept(row, only=("id", "instance_quality")),
    )
    metadata = kept(row, only=("instance_id", "instance_index"))
    yield record(prompt(row.get("prompt")), completions, [judgment], metadata=metadata, of_split=split_of(row))


def _acceptable(row: Row, side: str) -> dict[str, dict[str, int]]:
    said = row.get(f"completion_{side}_is_acceptable")
    return {"aspects": {"acceptable": int(said == "yes")}} if said in ("yes", "no") else {}


def recognises_llmbar(row: Row) -> bool:
    return has(row, "input", "output_1", "output_2", "label")


def reads_llmbar(row: Row) -> Iterator[Record]:
    completions = [FoundCompletion(answer(row.get(name), name)) for name in ("output_1", "output_2")]
    groups = _BY_NUMBER[whole(row.get("label"), "label", (1, 2))]
    judgment = FoundJudgment(groups, by=JudgedBy.PERSON)
    metadata = kept(row, "input", "output_1", "output_2", "label", "split")
    yield record(prompt(row.get("input"), "input"), completions, [judgment], metadata=metadata, of_split=split_of(row))


FORMATS = (
    Format(
        key="pandalm",
        label="PandaLM's test set",
        example=(
            '{"idx": 0, "cmp_key": "a-7b_b-7b", "instruction": "Shorten this.", "input": "It is what it is.", '
            '"response1": "It is so.", "response2": "So.", "annotator1": 2, "annotator2": 0, "annotator3": 2}'
        ),
        gives=_ALL,
        recognises=recognises_pandalm,
        reads=reads_pandalm,
    ),
    Format(
        key="tulu_human_eval",
        label="Tulu 1's human evaluation",
        example=(
            '{"id": 1, "prompt": "Correct this: I has.", "model_a": "a", "model_b": "b", "completion_a": "I have.", '
            '"completion_b": "I had.", "completion_a_is_acceptable": "yes", "completion_b_is_acceptable": "no", '
            '"preference": "a-is-slightly-better", "evaluator": "yo", "timestamp": "2023-05-21 19:30:13"}'
        ),
        gives=_ALL,
        recognises=recognises_tulu,
        reads=reads_tulu,
    ),
    Format(
        key="llmbar",
        label="LLMBar",
        example='{"input": "Name a colour.", "output_1": "Red.", "output_2": "Seven.", "label": 1}',
        gives=_ALL,
        recognises=recognises_llmbar,
        reads=reads_llmbar,
    ),
)
