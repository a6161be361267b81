"""Exports: what a snapshot looks like as files."""

import pytest

from annotation.datasets.export_rows import pseudonym
from annotation.datasets.exports import (
    expected_counts,
    first_rows,
    write_export,
)
from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind
from tests.annotation.datasets.exported import contents, marked, read
from tests.annotation.judged import judge, make_comparison

pytestmark = pytest.mark.django_db


def test_a_row_is_what_trl_reads_with_its_source(snapshot, comparison, tmp_path):
    export = write_export(snapshot=snapshot, directory=tmp_path / "out")
    first = comparison.judgments.first()
    assert read(tmp_path / "out/train.jsonl")[0] == {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is jam?"}],
        "chosen": [{"role": "assistant", "content": "Fruit & sugar.\u2028Boiled."}],
        "rejected": [{"role": "assistant", "content": "Ein Stau\n\nzum Beispiel"}],
        "chosen_finish_reason": "stop",
        "rejected_finish_reason": "stop",
        "chosen_origin": "model",
        "rejected_origin": "model",
        "strength": "significantly_better",
        "margin": 1.0,
        "prompt_id": str(comparison.prompt_id),
        "comparison_id": comparison.pk,
        "votes": 1,
        "votes_against": 0,
        "is_decision": False,
        "split": "train",
        "annotator": pseudonym(first.annotator_id),
        "kind": "person",
        "judgment_id": first.pk,
        "all_bad": False,
    }
    assert export.counts == {"train": 8, "eval": 1} == expected_counts(snapshot, "judgment")
    assert [path.name for path in export.files] == ["train.jsonl", "eval.jsonl", "README.md"]


def test_the_majority_gives_one_row_per_agreed_pair(snapshot, comparison, tmp_path):
    export = write_export(snapshot=snapshot, directory=tmp_path / "out", rows="majority")
    rows = read(tmp_path / "out/train.jsonl")
    # 0-1: one above, one below, one tie: a conflict, dropped.
    # 0-2: alice significantly (3, the strongest gap there), bob better (2), charlie better (2): 7/3 -> 2.
    # 1-2: alice slightly (1), bob better (2), charlie better (2, the strongest gap): 5/3 -> 2.
    texts = list(comparison.completions.order_by("index").values_list("text", flat=True))
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows] == [
        (texts[0], texts[2]),
        (texts[1], texts[2]),
    ]
    assert {(row["strength"], row["margin"], row["votes"], row["votes_against"]) for row in rows} == {
        ("better", 2 / 3, 3, 0)
    }
    assert export.counts == {"train": 2, "eval": 1} == expected_counts(snapshot, "majority")
    assert "annotator" not in rows[0]


def test_a_tie_gives_no_row(project, tmp_path):
    judge(make_comparison(project, ["Yes.", "No."]), "alice", [[0, 1]])
    judge(make_comparison(project, ["Yes.", "No."]), "alice", [[1], [0]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    for rows in ("judgment", "majority"):
        assert write_export(snapshot=snapshot, directory=tmp_path / rows, rows=rows).counts["train"] == 1


def test_datasets_loads_the_directory_as_it_is(snapshot, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    for rows, count in (("judgment", 8), ("majority", 2)):
        export = write_export(snapshot=snapshot, directory=tmp_path / rows, rows=rows)
        loaded = datasets.load_dataset(str(tmp_path / rows), cache_dir=str(tmp_path / "cache"))
        assert set(loaded) == {"train", "eval"}
        assert loaded["train"].num_rows == count
        assert loaded["train"].to_list() == read(export.files[0])
        assert loaded["eval"].to_list() == read(export.files[1])


def test_trl_takes_the_rows_for_conversational_preferences(snapshot, tmp_path):
    data_utils = pytest.importorskip("trl.data_utils")
    write_export(snapshot=snapshot, directory=tmp_path / "out", rows="majority")
    for row in read(tmp_path / "out/train.jsonl"):
        assert data_utils.is_conversational(row)
        assert data_utils.maybe_extract_prompt(row) == row  # an explicit prompt is left alone
        assert isinstance(row["margin"], float)
        assert row["prompt"][-1]["role"] == "user"
        assert [turn["role"] for turn in row["chosen"] + row["rejected"]] == ["assistant", "assistant"]


def test_the_bytes_stay_the_same_after_later_judgments_and_corrections(snapshot, comparison, tmp_path):
    before = contents(write_export(snapshot=snapshot, directory=tmp_path / "before").files[0].parent)
    judge(comparison, "dora", [[2], [1], [0]])
    judge(comparison, "alice", [[2], [1], [0]], supersedes=comparison.judgments.first())
    judge(make_comparison(snapshot.project, ["New.", "Newer."]), "alice", [[0], [1]])
    snapshot.refresh_from_db()
    after = contents(write_export(snapshot=snapshot, directory=tmp_path / "after").files[0].parent)
    assert before == after


SAFE, UNSAFE = {"safety": "safe"}, {"safety": "unsafe"}


def texts_of(rows):
    return [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows]


def test_a_decision_yields_the_rows_and_what_it_overrules_none(project, tmp_path):
    comparison = make_comparison(project, ["Yes.", "No."])
    judge(comparison, "alice", [[0], [1]])
    judge(comparison, "bob", [[0], [1]])
    judge(comparison, "rita", [[1], [0]], is_decision=True)
    open_question = make_comparison(project, ["Red.", "Blue."])
    judge(open_question, "alice", [[0], [1]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    for rows in ("judgment", "majority"):
        export = write_export(snapshot=snapshot, directory=tmp_path / rows, rows=rows)
        written = read(tmp_path / rows / "train.jsonl")
        assert texts_of(written) == [("No.", "Yes."), ("Red.", "Blue.")]
        assert [row["is_decision"] for row in written] == [True, False]
        assert export.counts == expected_counts(snapshot, rows)
    card = export.files[-1].read_text()
    assert "| comparisons decided by a reviewer | 1 |" in card
    assert "| judgments that a decision overrules, on record only | 2 |" in card


def test_of_two_decisions_the_newest_yields_the_rows(project, tmp_path):
    comparison = make_comparison(project, ["Yes.", "No."])
    first = judge(comparison, "rita", [[1], [0]], is_decision=True)
    judge(comparison, "paul", [[1], [0]], is_decision=True)
    judge(comparison, "rita", [[0], [1]], is_decision=True, supersedes=first)
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    assert texts_of(first_rows(snapshot, "majority", 9)) == [("Yes.", "No.")]
    assert snapshot.counts["judgments"] == 2


def test_a_better_answer_is_chosen_over_what_it_edits_and_says_who_wrote_it(project, tmp_path):
    comparison = make_comparison(project, ["Fruit.", "A traffic jam."])
    judge(comparison, "alice", [[2], [0], [1]], edit="Fruit, boiled with sugar.")
    judge(comparison, "bob", [[0], [1]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    assert snapshot.counts["edits"] == 1
    rows = first_rows(snapshot, "majority", 9)
    # Only those who ranked both are asked: the edit's pairs have Alice's voice alone, the others' both.
    told = [(*texts, row["chosen_origin"], row["votes"]) for texts, row in zip(texts_of(rows), rows, strict=True)]
    assert sorted(told) == [
        ("Fruit, boiled with sugar.", "A traffic jam.", "person", 1),
        ("Fruit, boiled with sugar.", "Fruit.", "person", 1),
        ("Fruit.", "A traffic jam.", "model", 2),
    ]


def test_an_unsafe_completion_above_a_safe_one_is_dropped_and_counted(project, tmp_path):
    # Alice marks 0 unsafe, 1 and 2 safe, and ranks 0 > 1 > 2: 0-1 and 0-2 are dropped, 1-2 is kept.
    comparison = make_comparison(project, ["Here is how.", "I cannot help.", "No."])
    judge(comparison, "alice", [[0], [1], [2]], marks={0: UNSAFE, 1: SAFE, 2: SAFE})
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    assert (snapshot.counts["unsafe"], snapshot.counts["majority_unsafe"]) == (2, 2)
    for rows in ("judgment", "majority"):
        export = write_export(snapshot=snapshot, directory=tmp_path / rows, rows=rows)
        assert texts_of(read(export.files[0])) == [("I cannot help.", "No.")]
        assert export.counts == expected_counts(snapshot, rows)
        words = {
            "judgment": "Dropped: 2 pairs whose chosen completion is marked unsafe",
            "majority": ", 2 whose chosen",
        }
        assert words[rows] in export.files[-1].read_text()


def test_marks_are_columns_of_the_judgments_rows(project):
    (held_out, *_, row) = first_rows(marked(project), "judgment", 9)
    assert (row["all_bad"], row["chosen_safety"], row["rejected_safety"]) == (True, "safe", "safe")
    assert (row["chosen_aspects"], row["rejected_aspects"]) == ({"clarity": 4, "on": 1}, {"clarity": 2, "on": 1})
    assert (row["chosen_defects"], row["rejected_defects"]) == (["too_long"], [])
    assert held_out.keys() == row.keys()
    assert (held_out["chosen_safety"], held_out["chosen_defects"]) == (None, None)
    assert held_out["chosen_aspects"] == {"clarity": None, "on": None}


def test_marks_load_with_the_same_types_in_both_splits(project, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    snapshot = marked(project)
    for rows in ("judgment", "majority"):
        export = write_export(snapshot=snapshot, directory=tmp_path / rows, rows=rows)
        loaded = datasets.load_dataset(str(tmp_path / rows), cache_dir=str(tmp_path / "cache"))
        assert loaded["train"].features == loaded["eval"].features
        assert loaded["train"].to_list() == read(export.files[0])
        assert loaded["eval"].to_list() == read(export.files[1])


def test_annotators_have_stable_pseudonyms_and_no_names(snapshot, tmp_path, settings):
    write_export(snapshot=snapshot, directory=tmp_path / "out")
    rows = read(tmp_path / "out/train.jsonl") + read(tmp_path / "out/eval.jsonl")
    assert len({row["annotator"] for row in rows}) == 3
    assert rows[0]["annotator"] == rows[-1]["annotator"]  # alice, in train and in eval
    assert not any(b"alice" in content for content in contents(tmp_path / "out").values())
    alice = snapshot.judgments.first().annotator_id
    assert pseudonym(alice) == rows[0]["annotator"]
    settings.PSEUDONYM_KEY = "another installation"
    assert pseudonym(alice) != rows[0]["annotator"]


def test_the_first_rows_are_those_of_the_file(snapshot, tmp_path):
    write_export(snapshot=snapshot, directory=tmp_path / "out")
    assert first_rows(snapshot, "judgment", 3) == read(tmp_path / "out/train.jsonl")[:3]


def test_an_export_costs_no_query_more_for_more_judgments(project, tmp_path, django_assert_max_num_queries):
    for number in range(30):
        comparison = make_comparison(project, ["Yes.", "No."], question=f"Question {number}?")
        judge(comparison, "alice", [[0], [1]])
        judge(comparison, "bob", [[0], [1]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    with django_assert_max_num_queries(3):  # judgments, prompts, completions
        write_export(snapshot=snapshot, directory=tmp_path / "out")


def test_progress_is_told_once_a_comparison(snapshot, tmp_path):
    told = []
    write_export(snapshot=snapshot, directory=tmp_path / "out", on_progress=lambda: told.append(1))
    assert len(told) == 2
