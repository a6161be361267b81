"""Published sets, read by their columns alone. Counts are of the raw files, taken with json and csv."""

import csv
import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from sampling.intake.formats import read
from sampling.intake.mapping import apply, suggest
from sampling.intake.sources import open_source
from sampling.json_lines import Unusable

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def path_of(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent: the real sets are no part of the project")
    return path


def imported(path: Path, limit: int | None = None, **changes: str):
    """(records, reasons for the rows that gave none), by the columns that are suggested, with changes."""
    source = open_source("file", path)
    columns = dict.fromkeys(column for row in islice(source.rows(), 20) for column in row.row)
    mapping = suggest(columns) | changes
    records, reasons = [], Counter()
    for row in islice(source.rows(), limit):
        assert not row.problem
        try:
            records += read(apply(row.row, mapping), "mapped")
        except Unusable as unusable:
            reasons[str(unusable)] += 1
    return records, reasons


def places(judgment) -> str:
    return "tie" if len(judgment.groups) == 1 else str(judgment.groups[0][0] + 1)


def test_pandalm_has_three_annotators_of_each_pair():
    path = path_of("pandalm-testset", "data", "testset-v1.json")
    raw = json.loads(path.read_text())
    records, reasons = imported(path)
    assert not reasons
    assert len(records) == len(raw) == 999
    answers = [
        row[name] if isinstance(row[name], str) else "true" for row in raw for name in ("response1", "response2")
    ]
    assert [completion.text for record in records for completion in record.completions] == answers
    assert answers.count("") == 54
    assert answers.count("true") == 6
    words = {0: "tie", 1: "1", 2: "2"}
    for name in ("annotator1", "annotator2", "annotator3"):
        found = [places(judgment) for record in records for judgment in record.judgments if judgment.annotator == name]
        assert found == [words[row[name]] for row in raw]
    writers = Counter(completion.writer for record in records for completion in record.completions)
    assert writers == Counter(model for row in raw for model in row["cmp_key"].split("_"))
    joined = next(record for record, row in zip(records, raw, strict=True) if row["input"])
    assert joined.messages[0]["content"].count("\n") >= 1


def test_tulu_has_five_points_and_marks_of_acceptability():
    path = path_of("tulu1-human-eval", "annotations.jsonl")
    raw = [json.loads(line) for line in path.read_text().splitlines()]
    usable = [row for row in raw if isinstance(row["completion_a"], str) and row["completion_a"] != row["completion_b"]]
    records, reasons = imported(path)
    assert len(records) + sum(reasons.values()) == len(raw)
    assert len(records) == len(usable)
    said = Counter((places(one), *one.strengths) for record in records for one in record.judgments)
    preferences = Counter(row["preference"] for row in usable)
    assert said == {
        ("1", "better"): preferences["a-is-better"],
        ("1", "slightly_better"): preferences["a-is-slightly-better"],
        ("tie",): preferences["tie"],
        ("2", "slightly_better"): preferences["b-is-slightly-better"],
        ("2", "better"): preferences["b-is-better"],
    }
    judgments = [record.judgments[0] for record in records]
    assert [judgment.annotator for judgment in judgments] == [row["evaluator"] for row in usable]
    assert [judgment.at.strftime("%Y-%m-%d %H:%M:%S") for judgment in judgments] == [row["timestamp"] for row in usable]
    for position, side in enumerate("ab"):
        found = [judgment.marks[position]["aspects"]["acceptable"] for judgment in judgments]
        assert found == [int(row[f"completion_{side}_is_acceptable"] == "yes") for row in usable]


def test_the_korean_chatbot_has_questions_and_answers():
    path = path_of("korean-chatbot", "ChatbotData.csv")
    with path.open(newline="") as file:
        raw = list(csv.DictReader(file))
    records, reasons = imported(path)
    assert not reasons
    assert [record.messages[0]["content"] for record in records] == [row["Q"] for row in raw]
    assert [record.completions[0].text for record in records] == [row["A"] for row in raw]


def test_truthfulqa_has_questions_with_their_best_answers_and_categories():
    path = path_of("truthfulqa", "TruthfulQA.csv")
    with path.open(newline="", encoding="utf-8-sig") as file:
        raw = list(csv.DictReader(file))
    records, reasons = imported(path)
    assert not reasons
    assert [record.messages[0]["content"] for record in records] == [row["Question"] for row in raw]
    assert [record.metadata["category"] for record in records] == [row["Category"] for row in raw]


def test_gsm8k_has_problems_with_solutions_of_which_some_are_models():
    path = path_of("gsm8k", "test.jsonl")
    records, reasons = imported(path)
    assert (len(records), len(reasons)) == (1319, 0)
    assert all(len(record.completions) == 1 for record in records)
    names = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    records, reasons = imported(
        path_of("gsm8k", "example_model_solutions.jsonl"),
        completions=" + ".join(f"{name}.solution" for name in names),
        writers=" + ".join(f"={name}" for name in names),
    )
    assert len(records) + sum(reasons.values()) == 1319
    assert len(records) > 1300
    assert all(tuple(completion.writer for completion in record.completions) == names for record in records)


def test_ifeval_keeps_what_its_programs_check():
    path = path_of("ifeval", "input_data.jsonl")
    raw = [json.loads(line) for line in path.read_text().splitlines()]
    records, reasons = imported(path)
    assert not reasons
    for record, row in zip(records, raw, strict=True):
        assert record.metadata["id"] == row["key"]
        assert record.metadata["instruction_id_list"] == row["instruction_id_list"]


@pytest.mark.parametrize("name", ["LLMBar/Natural", "LLMBar/Adversarial/GPTInst", "Processed/MT-Bench"])
def test_llmbar_has_a_right_answer_for_each_pair(name):
    path = path_of("llmbar", *name.split("/"), "dataset.json")
    raw = json.loads(path.read_text())
    records, reasons = imported(path)
    assert not reasons
    assert [places(record.judgments[0]) for record in records] == [str(row["label"]) for row in raw]


def test_pairs_whose_texts_stand_in_another_file_are_not_joined():
    """ukp-convarg names its arguments by ids: even with a prompt, an id is all that there is to compare."""
    path = path_of("ukp-convarg", "pairs.jsonl")
    records, _ = imported(
        path,
        2000,
        prompt="title",
        completion_a="arg1",
        completion_b="arg2",
        preference="annotations[].value",
        annotator="annotations[].worker",
        rationale="annotations[].reason",
        time="annotations[].submitted",
    )
    raw = [json.loads(line) for line in path.read_text().splitlines()[:2000]]
    assert sum(len(record.judgments) for record in records) == sum(len(row["annotations"]) for row in raw)
    assert records[0].completions[0].text == raw[0]["arg1"]
