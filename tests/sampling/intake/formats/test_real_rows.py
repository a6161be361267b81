"""Published rows through their formats: how many records, completions and judgments come of them, and what is left out.

The figures are counted on the files themselves. No sentence of the sets is kept here.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from sampling.intake import formats
from sampling.intake.formats.preferences import FIRST, SECOND, TIE
from sampling.json_lines import Unusable
from tests.sampling.intake.formats.checking import check

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
PANDALM = "pandalm-testset/data/testset-v1.json"
TULU = "tulu1-human-eval/annotations.jsonl"
FINE_GRAINED = "finegrained-rlhf/tasks/qa_feedback/data/dev_feedback.json"
TREES = "oasst-samples/model/model_eval/manual/data/en_100_tree.jsonl"
SQUARE = "square-korean/data/SQuARe/with_raw_annotations/response_test_ood_annotations.json"


def rows_of(path: str) -> list[dict]:
    file = DATA / path
    if not file.exists():
        pytest.skip(f"{file} is absent: the real sets are no part of the project")
    written = file.read_text()
    return json.loads(written) if file.suffix == ".json" else [json.loads(line) for line in written.splitlines()]


def read_all(path: str):
    """(records, reasons) of a file, read as what it is recognised as by its first rows."""
    rows = rows_of(path)
    key = formats.recognise(rows[:50])
    records, reasons = [], []
    for row in rows:
        try:
            records += formats.read(row, key)
        except Unusable as unusable:
            reasons.append(str(unusable))
    for record in records:
        check(record)
    return key, records, reasons


@pytest.mark.parametrize(
    ("path", "key", "records", "completions", "judgments", "left_out"),
    [
        ("llamafactory-demos/alpaca_en_demo.json", "alpaca", 999, 999, 0, 0),
        ("llamafactory-demos/dpo_en_demo.json", "llama_factory", 300, 600, 300, 0),
        ("llamafactory-demos/v1_dpo_demo.jsonl", "llama_factory", 10, 20, 10, 0),
        ("llamafactory-demos/kto_en_demo.json", "trl_unpaired", 300, 300, 0, 0),
        ("torchtune-tiny/alpaca_tiny.json", "alpaca", 100, 100, 0, 0),
        ("torchtune-tiny/stack_exchange_paired_tiny.json", "stack_exchange_paired", 25, 50, 25, 0),
        ("self-instruct/data/seed_tasks.jsonl", "alpaca", 175, 175, 0, 0),
        ("self-instruct/human_eval/user_oriented_instructions.jsonl", "alpaca", 252, 252, 0, 0),
        ("mt-bench/mt_bench/question.jsonl", "prompts", 80, 0, 0, 0),
        ("mt-bench/data/dummy_conversation.json", "chat", 500, 500, 0, 0),
        ("gsm8k/test.jsonl", "prompt_completion", 1319, 1319, 0, 0),
        ("ifeval/input_data.jsonl", "prompts", 541, 0, 0, 0),
        ("llmbar/LLMBar/Natural/dataset.json", "llmbar", 100, 200, 100, 0),
        ("tulu1-human-eval/human_eval/data/eval_instances_tulu_1.jsonl", "prompt_completion", 996, 1992, 0, 0),
        # 999 - 1 with an empty instruction; 54 rows have an empty response, 6 a truth value for one; 3 annotators each
        (PANDALM, "pandalm", 998, 1996, 2994, 1),
        # 40 pairs of one text with itself, 1 completion that is not there: NaN
        (TULU, "tulu_human_eval", 1109, 2218, 1109, 41),
        # 478 rankings of four; 22 circles of six pairs: 478 + 22 * 6 = 610 records, 478 * 4 + 132 * 2 = 2,176
        (FINE_GRAINED, "fine_grained_rlhf", 610, 2176, 610, 0),
        (TREES, "open_assistant", 212, 641, 212, 0),
        (SQUARE, "square", 480, 480, 0, 0),
    ],
)
def test_a_published_file_is_recognised_and_read(path, key, records, completions, judgments, left_out):
    found, all_records, reasons = read_all(path)
    assert found == key
    assert len(reasons) == left_out, Counter(reasons)
    assert len(all_records) == records
    assert sum(len(record.completions) for record in all_records) == completions
    assert sum(len(record.judgments) for record in all_records) == judgments


def test_pandalms_judgments_are_those_of_the_file():
    _, records, _ = read_all(PANDALM)
    usable = [row for row in rows_of(PANDALM) if row["instruction"].strip()]
    for at, name in enumerate(("annotator1", "annotator2", "annotator3")):
        written = Counter(row[name] for row in usable)
        read = Counter(record.judgments[at].groups for record in records)
        assert read == {FIRST: written[1], SECOND: written[2], TIE: written[0]}
    assert len({found.writer for record in records for found in record.completions}) == 5


def test_tulus_judgments_are_those_of_the_file():
    _, records, _ = read_all(TULU)
    usable = [
        row
        for row in rows_of(TULU)
        if isinstance(row["completion_a"], str) and row["completion_a"] != row["completion_b"]
    ]
    written = Counter((row["evaluator"], row["preference"]) for row in usable)
    side = {FIRST: "a", SECOND: "b"}
    read: Counter[tuple[str, str]] = Counter()
    for [judgment] in (record.judgments for record in records):
        how = "" if judgment.groups == TIE else judgment.strengths[0].replace("_", "-")
        read[judgment.annotator, f"{side[judgment.groups]}-is-{how}" if how else "tie"] += 1
    assert read == written
    assert len({annotator for annotator, _ in read}) == 16
    assert all(record.judgments[0].at is not None for record in records)


def test_fine_grained_judgments_say_the_preferences_of_the_file():
    rows = rows_of(FINE_GRAINED)
    wins: Counter[int] = Counter()
    for record in read_all(FINE_GRAINED)[1]:
        place = {at: position for position, group in enumerate(record.judgments[0].groups) for at in group}
        for low in place:
            for high in range(low + 1, len(place)):
                wins[0 if place[low] == place[high] else 1 if place[low] < place[high] else 2] += 1
    assert wins == Counter(said for row in rows for said in row["preference"])  # 500 * 6 = 3,000


def test_each_ranked_node_of_the_trees_is_a_record_with_its_path():
    ranked: list[tuple[int, int]] = []  # (messages up to here, ranked replies)

    def walk(node: dict, depth: int) -> None:
        count = sum(reply.get("rank") is not None and not reply["deleted"] for reply in node["replies"])
        if node["role"] == "prompter" and count > 1:
            ranked.append((depth, count))
        for reply in node["replies"]:
            walk(reply, depth + 1)

    for row in rows_of(TREES):
        walk(row["prompt"], 1)
    _, records, _ = read_all(TREES)
    assert Counter((len(record.messages), len(record.completions)) for record in records) == Counter(ranked)


def test_squares_votes_are_counted_for_each_response():
    _, records, _ = read_all(SQUARE)
    votes = Counter(sum(record.completions[0].metadata["votes"].values()) for record in records)
    assert votes == {3: 480}
    assert all("workerID" not in repr(record) for record in records)
