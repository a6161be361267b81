"""Where an export is written: what it replaces, what it leaves alone, and when it writes nothing."""

import zipfile

import pytest

from annotation.datasets.export_cache import zip_export
from annotation.datasets.exports import ExportRefused, write_export
from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind
from sampling.models import Completion
from tests.annotation.datasets.exported import SIMULATED, contents, read
from tests.annotation.judged import judge

pytestmark = pytest.mark.django_db


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


def test_an_export_zips_to_the_same_bytes_whatever_a_killed_worker_left_in_it(snapshot, tmp_path):
    directory = tmp_path / "june"
    write_export(snapshot=snapshot, directory=directory, rows="majority")
    first = zip_export(directory)
    before = first.read_bytes()
    first.unlink()
    (directory / ".june-export-7-abcdefgh").mkdir()
    assert zip_export(directory).read_bytes() == before
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == ["june/README.md", "june/eval.jsonl", "june/train.jsonl"]
        assert archive.read("june/train.jsonl") == (directory / "train.jsonl").read_bytes()


def test_what_a_killed_worker_left_goes_with_the_next_one_that_holds_the_claim(snapshot, tmp_path):
    directory = tmp_path / "june"
    write_export(snapshot=snapshot, directory=directory)
    mine, others = ".june-export-7-abcdefgh", ".june-export-77-abcdefgh"
    for name in (mine, others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_text("half a li")
    (directory / mine).mkdir()
    write_export(snapshot=snapshot, directory=directory)  # nobody's: it may be at work
    assert (tmp_path / mine).is_dir()
    write_export(snapshot=snapshot, directory=directory, owner="export-7")
    assert sorted(path.name for path in tmp_path.iterdir()) == [others, "june"]
    assert sorted(contents(directory)) == ["README.md", "eval.jsonl", "train.jsonl"]
