"""Exports: what a snapshot looks like as files."""

import json
import zipfile
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
import yaml

from annotation.datasets.card import AGREEMENT
from annotation.datasets.export_rows import pseudonym
from annotation.datasets.exports import (
    ExportRefused,
    cached_export,
    cached_zip,
    expected_counts,
    first_rows,
    write_export,
)
from annotation.datasets.snapshots import freeze_snapshot
from annotation.figures.agreement import MEASURES, Figure
from annotation.models import JudgeKind, ProjectReport
from annotation.projects.presets import PRESETS
from sampling.models import Completion
from tests.annotation.judged import judge, known, make_comparison, make_project

pytestmark = pytest.mark.django_db
SIMULATED = JudgeKind.SIMULATED


@pytest.fixture
def project():
    return make_project('Größe & 東京: "quoted"')


@pytest.fixture
def comparison(project):
    """Alice: 0 far above 1, 1 slightly above 2. Bob: 0 = 1, both above 2. Charlie: 1 above 0 above 2."""
    comparison = make_comparison(project, ["Fruit & sugar.\u2028Boiled.", "Ein Stau\n\nzum Beispiel", '"Jam"\\ 🍓'])
    judge(comparison, "alice", [[0], [1], [2]], ["significantly_better", "slightly_better"])
    judge(comparison, "bob", [[0, 1], [2]], ["better"])
    judge(comparison, "charlie", [[1], [0], [2]], ["negligibly_better", "better"])
    return comparison


@pytest.fixture
def snapshot(project, comparison):
    held_out = make_comparison(project, ["Yes.", "No."], split="eval", question="Is jam sweet?")
    judge(held_out, "alice", [[0], [1]])
    return freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])


def read(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


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


def marked(project):
    """Train: every mark. Eval: a judgment from before anything was asked, so that its columns are empty."""
    sheet = {"safety": "safe", "aspects": {"clarity": 4, "on": 1}, "defects": ["too_long"]}
    plain = {"safety": "safe", "aspects": {"clarity": 2, "on": 1}, "defects": []}
    judge(make_comparison(project, ["Yes.", "No."], split="eval"), "bob", [[0], [1]])
    asked = make_comparison(project, ["Fruit.", "A traffic jam."])
    judge(asked, "alice", [[2], [0], [1]], marks={0: sheet, 1: plain}, edit="Fruit, boiled.", all_bad=True)
    return freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])


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


def test_the_card_declares_every_column_in_the_order_of_the_rows_and_explains_it(project, tmp_path):
    snapshot = marked(project)
    for rows in ("judgment", "majority"):
        export = write_export(snapshot=snapshot, directory=tmp_path / rows, rows=rows)
        card = export.files[-1].read_text()
        front = yaml.safe_load(card.split("---\n")[1])
        names = [feature["name"] for feature in front["dataset_info"]["features"]]
        assert names == list(read(export.files[0])[0])
        assert [name for name in names if f"`{name}`" not in card.split("## Rows")[1]] == []


def test_the_card_says_what_was_asked_by_which_guidelines_and_what_is_left_out(project, tmp_path):
    for name, value in (PRESETS["helpsteer3"].settings | {"ask_safety": True, "allow_edits": True}).items():
        setattr(project, name, value)
    project.aspects = [{"key": "clarity", "label": "Clarity", "lowest": 0, "highest": 4}]
    project.save()
    version = project.guidelines_versions.create(number=3, text="Be fair.")
    judge(make_comparison(project, ["Yes.", "No."]), "alice", [[0], [1]], guidelines_version=version, rationale="By Al")
    judge(known(make_comparison(project, ["Yes.", "No."])), "alice", [[0], [1]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    export = write_export(snapshot=snapshot, directory=tmp_path / "out")
    card = export.files[-1].read_text()
    assert "It began as the preset HelpSteer3" in card
    assert "its 3, 2 and 1 are `significantly_better`" in card
    assert "Clarity (`clarity`, 0 to 4)" in card
    assert "Guidelines in force: version 3 (1 judgment)." in card
    assert "Not in here, though judged: 1 judgment of gold comparisons." in card
    assert "A rationale, required. It is not exported" in card
    assert not any(b"By Al" in content for content in contents(tmp_path / "out").values())


def test_the_card_keeps_the_agreement_as_it_stood_whatever_is_computed_later(project, comparison, tmp_path):
    figures = [asdict(Figure("alpha", 0.614, 0.52, 0.7)), asdict(Figure("tau", None, None, None, "no overlap"))]
    content = {"kinds": {"person": {"judgments": 3, "agreement": figures}, "simulated": {"judgments": 9}}}
    day = datetime(2026, 6, 1, 12, tzinfo=UTC)
    report = ProjectReport.objects.create(project=project, content=content, computed_at=day)
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    report.delete()
    card = write_export(snapshot=snapshot, directory=tmp_path / "out").files[-1].read_text()
    words = "person, 3 judgments of the project on 2026-06-01: Krippendorff's alpha 0.61 (0.52 to 0.70)\n"
    assert words in card


def test_every_figure_of_agreement_has_a_name_on_the_card():
    assert AGREEMENT.keys() == MEASURES.keys()


def test_a_snapshot_from_before_all_this_still_exports(snapshot, tmp_path):
    old = ("judgments", "comparisons", "annotators", "prompts", "ties", "by_kind", "pairs_train", "pairs_eval")
    old += ("majority_pairs_train", "majority_pairs_eval", "majority_ties", "majority_conflicts")
    snapshot.counts = {name: snapshot.counts[name] for name in old}
    snapshot.save()
    for rows in ("judgment", "majority"):
        export = write_export(snapshot=snapshot, directory=tmp_path / rows, rows=rows)
        assert export.counts == expected_counts(snapshot, rows)
        assert "What was asked" not in export.files[-1].read_text()


def test_an_empty_eval_split_is_left_out_and_the_card_says_so(project, comparison, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    export = write_export(snapshot=snapshot, directory=tmp_path / "out")
    assert [path.name for path in export.files] == ["train.jsonl", "README.md"]
    assert "There is no `eval.jsonl`: no eval prompt has a pair here." in export.files[-1].read_text()
    assert set(datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))) == {"train"}


def test_the_card_starts_with_yaml_that_names_the_files(snapshot, tmp_path):
    card = write_export(snapshot=snapshot, directory=tmp_path / "out").files[-1].read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["pretty_name"] == 'Größe & 東京: "quoted" / june'
    assert front["whetstone_snapshot"] == snapshot.content_hash
    assert front["configs"][0]["data_files"] == [
        {"split": "train", "path": "train.jsonl"},
        {"split": "eval", "path": "eval.jsonl"},
    ]
    assert "| of kind `person` | 4 |" in card
    assert "| rows in train | 8 |" in card


def test_annotators_have_stable_pseudonyms_and_no_names(snapshot, tmp_path, settings):
    write_export(snapshot=snapshot, directory=tmp_path / "out")
    rows = read(tmp_path / "out/train.jsonl") + read(tmp_path / "out/eval.jsonl")
    assert len({row["annotator"] for row in rows}) == 3
    assert rows[0]["annotator"] == rows[-1]["annotator"]  # alice, in train and in eval
    assert not any(b"alice" in content for content in contents(tmp_path / "out").values())
    alice = snapshot.judgments.first().annotator_id
    assert pseudonym(alice) == rows[0]["annotator"]
    settings.SECRET_KEY = "another installation"
    assert pseudonym(alice) != rows[0]["annotator"]


def test_an_earlier_export_is_replaced_and_nothing_else(project, comparison, tmp_path, snapshot):
    write_export(snapshot=snapshot, directory=tmp_path / "out")
    (tmp_path / "out/notes.txt").write_text("mine")
    only_train = freeze_snapshot(project=project, name="july", kinds=[JudgeKind.PERSON])
    only_train.judgments.remove(*only_train.judgments.filter(comparison__prompt__split="eval"))
    with pytest.raises(ExportRefused, match="was changed in the database by hand"):
        write_export(snapshot=only_train, directory=tmp_path / "out")
    judge(comparison, "sim-brief", [[0], [1], [2]], kind=SIMULATED)
    simulated = freeze_snapshot(project=project, name="august", kinds=[SIMULATED])
    write_export(snapshot=simulated, directory=tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == ["README.md", "notes.txt", "train.jsonl"]
    assert {row["kind"] for row in read(tmp_path / "out/train.jsonl")} == {"simulated"}


def test_a_directory_with_other_files_is_refused_and_left_alone(snapshot, tmp_path):
    (tmp_path / "README.md").write_text("# My thesis")
    with pytest.raises(ExportRefused, match="holds files that are no earlier export"):
        write_export(snapshot=snapshot, directory=tmp_path)
    assert contents(tmp_path) == {"README.md": b"# My thesis"}


def test_a_file_in_the_place_of_the_directory_is_refused(snapshot, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ExportRefused, match="is a file"):
        write_export(snapshot=snapshot, directory=tmp_path / "out")


def test_an_empty_directory_is_filled(snapshot, tmp_path):
    write_export(snapshot=snapshot, directory=tmp_path)
    assert sorted(contents(tmp_path)) == ["README.md", "eval.jsonl", "train.jsonl"]


def test_a_changed_completion_stops_the_export_and_leaves_nothing(snapshot, tmp_path):
    Completion.objects.filter(pk=Completion.objects.first().pk).update(text="Edited by hand")
    with pytest.raises(ExportRefused, match="was changed in the database by hand"):
        write_export(snapshot=snapshot, directory=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_completion_stops_the_export_and_leaves_nothing(snapshot, comparison, tmp_path):
    gone = comparison.completions.first()
    number = gone.pk
    gone.delete()
    with pytest.raises(ExportRefused, match=f"Completion {number}, .* was deleted from the database by hand"):
        write_export(snapshot=snapshot, directory=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_unknown_rows_are_refused(snapshot, tmp_path):
    with pytest.raises(ExportRefused, match="Choose from: judgment, majority"):
        write_export(snapshot=snapshot, directory=tmp_path / "out", rows="votes")


def test_the_first_rows_are_those_of_the_file(snapshot, tmp_path):
    write_export(snapshot=snapshot, directory=tmp_path / "out")
    assert first_rows(snapshot, "judgment", 3) == read(tmp_path / "out/train.jsonl")[:3]


def test_a_cached_export_is_written_once_and_zips_to_the_same_bytes(snapshot, tmp_path, settings):
    settings.VAR_DIR = tmp_path
    directory = cached_export(snapshot, "majority")
    written = (directory / "train.jsonl").stat().st_mtime_ns
    first = cached_zip(snapshot, "majority")
    before = first.read_bytes()
    first.unlink()
    assert cached_zip(snapshot, "majority").read_bytes() == before
    assert (directory / "train.jsonl").stat().st_mtime_ns == written
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == ["june/README.md", "june/eval.jsonl", "june/train.jsonl"]
        assert archive.read("june/train.jsonl") == (directory / "train.jsonl").read_bytes()


def test_an_export_costs_no_query_more_for_more_judgments(project, tmp_path, django_assert_max_num_queries):
    for number in range(30):
        comparison = make_comparison(project, ["Yes.", "No."], question=f"Question {number}?")
        judge(comparison, "alice", [[0], [1]])
        judge(comparison, "bob", [[0], [1]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    with django_assert_max_num_queries(3):
        write_export(snapshot=snapshot, directory=tmp_path / "out")


def test_progress_is_told_once_a_comparison(snapshot, tmp_path):
    told = []
    write_export(snapshot=snapshot, directory=tmp_path / "out", on_progress=lambda: told.append(1))
    assert len(told) == 2
