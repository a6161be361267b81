"""The card of an export: what it declares, and what it tells its reader."""

from dataclasses import asdict
from datetime import UTC, datetime

import pytest
import yaml

from annotation.datasets.card import AGREEMENT
from annotation.datasets.card_front import size_category
from annotation.datasets.exports import checked_view, expected_counts, write_export
from annotation.datasets.layouts import LAYOUTS
from annotation.datasets.snapshots import freeze_snapshot
from annotation.figures.agreement import MEASURES, Figure
from annotation.models import JudgeKind, ProjectReport
from annotation.projects.presets import PRESETS
from tests.annotation.datasets.exported import contents, marked, read
from tests.annotation.judged import judge, known, make_comparison

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_card_of_every_layout_declares_and_explains_its_columns_and_is_listed_on_a_hub(project, tmp_path, layout):
    snapshot = marked(project)
    for rows in ("judgment", "majority"):
        export = write_export(
            snapshot=snapshot, directory=tmp_path / rows, rows=rows, layout=layout, file_type="parquet",
            has_rationales=LAYOUTS[layout].has_rationales, licence="cc-by-4.0",
        )  # fmt: skip
        card = export.files[-1].read_text()
        front = yaml.safe_load(card.split("---\n")[1])
        view = checked_view(snapshot, layout, rows, has_rationales=LAYOUTS[layout].has_rationales)
        names = [feature["name"] for feature in front["dataset_info"]["features"]]
        assert names == list(LAYOUTS[layout].features(view))
        assert [name for name in names if f"`{name}`" not in card.split("## Rows")[1]] == []
        assert (front["license"], front["size_categories"]) == ("cc-by-4.0", ["n<1K"])
        assert {"whetstone", "preference"} <= set(front["tags"])
        assert [file["path"] for file in front["configs"][0]["data_files"]] == ["train.parquet", "eval.parquet"]
        assert "CC BY 4.0." in card
        assert "Demographics: not collected." in card


def test_the_languages_of_the_prompts_are_on_the_card(project, tmp_path):
    for language in ("no", "ko", "Klingon", "no"):
        comparison = make_comparison(project, ["Yes.", "No."])
        comparison.prompt.metadata = {"language": language}
        comparison.prompt.save()
        judge(comparison, "alice", [[0], [1]])
    snapshot = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    card = write_export(snapshot=snapshot, directory=tmp_path / "out").files[-1].read_text()
    assert yaml.safe_load(card.split("---\n")[1])["language"] == ["ko", "no"]


def test_sizes_are_in_the_hubs_words():
    sizes = [0, 999, 1000, 99_999, 100_000, 1_000_000, 10_000_000]
    words = ["n<1K", "n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "n>10M"]
    assert list(map(size_category, sizes)) == words
