"""Parquet files, directories of files, and what the datasets library saved."""

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow
import pytest
from pyarrow import parquet

from sampling.intake.sources import SourceUnusable, open_source

ROWS = [{"prompt": f"question {number}", "turns": [{"role": "user", "n": number}]} for number in range(1000)]


def write_parquet(path, rows, **options):
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, **options)
    return path


def read(path, start=0, kind="file", **options):
    return list(open_source(kind, path, **options).rows(start))


# --- Parquet ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 1, 99, 100, 101, 550, 999, 1000, 2000])
def test_parquet_goes_on_from_any_row(tmp_path, start):
    path = write_parquet(tmp_path / "data", ROWS, row_group_size=100)
    found = read(path, start)
    assert [row.row for row in found] == ROWS[start:]
    assert [row.line for row in found] == list(range(start + 1, 1001))


def test_parquet_names_its_columns_before_a_row_is_read_and_tells_its_progress(tmp_path):
    source = open_source("file", write_parquet(tmp_path / "data", ROWS))
    assert source.columns_hint == ["prompt", "turns"]
    assert source.position == 0
    assert sum(1 for _ in source.rows()) == source.passed == 1000
    assert source.position == source.size


def test_parquet_in_a_gzip_is_read(tmp_path):
    path = write_parquet(tmp_path / "data", ROWS[:3])
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert [row.row for row in read(path)] == ROWS[:3]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceUnusable, match="Copy or upload it again"):
        read(path)


def test_values_of_parquet_become_what_json_has(tmp_path):
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    row = {
        "time": moment,
        "naive": moment.replace(tzinfo=None),
        "day": date(2026, 5, 1),
        "took": timedelta(seconds=90),
        "whole": Decimal("3.00"),
        "score": Decimal("0.5"),
        "nan": float("nan"),
        "bytes": b"text",
    }
    (found,) = read(write_parquet(tmp_path / "data", [row]))
    assert found.row == {
        "time": "2026-05-01T12:00:00+00:00",
        "naive": "2026-05-01T12:00:00+00:00",
        "day": "2026-05-01",
        "took": 90.0,
        "whole": 3,
        "score": 0.5,
        "nan": None,
        "bytes": "text",
    }
    json.dumps(found.row, allow_nan=False)


def test_rows_of_parquet_that_cannot_be_kept_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sampling.intake.sources.arrow_rows.ROW_CHARACTERS", 1000)
    texts = pyarrow.array([b"a", b"\xff", b"\0", b"b" * 1001, b"c"])
    unchecked = pyarrow.Array.from_buffers(pyarrow.string(), len(texts), texts.buffers())  # the second is no UTF-8
    parquet.write_table(pyarrow.table({"text": unchecked}), tmp_path / "data")
    found = read(tmp_path / "data")
    assert [row.row for row in found] == [{"text": "a"}, None, None, None, {"text": "c"}]
    assert found[1].problem.startswith("A value of this row cannot be read (UnicodeDecodeError")
    assert found[2].problem == '"text" holds a NUL character (\\u0000). Remove it.'
    assert found[3].problem == "The row is longer than 1,000 characters. Shorten it."


def test_parquet_without_its_end_is_refused_with_the_remedy(tmp_path):
    path = write_parquet(tmp_path / "data", ROWS)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(SourceUnusable, match=r"no whole Parquet file .* Copy or upload it again\."):
        read(path)


def test_parquet_that_is_damaged_in_the_middle_gives_the_rows_before_and_then_the_problem(tmp_path):
    path = write_parquet(tmp_path / "data", ROWS, row_group_size=100, compression="gzip")
    group = parquet.ParquetFile(path).metadata.row_group(5).column(0)
    content = bytearray(path.read_bytes())
    begin = group.dictionary_page_offset or group.data_page_offset
    content[begin : begin + 200] = bytes(200)
    path.write_bytes(bytes(content))
    found = read(path)
    assert [row.row for row in found[:-1]] == ROWS[: len(found) - 1]
    assert len(found) == 501  # the sixth group of 100 is damaged
    assert found[-1].problem.startswith("The file is damaged behind this row")
    assert read(path, 300) == found[300:]


# --- directories --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, rows in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path

    return write


def texts(found):
    return [row.row["a"] for row in found]


def test_files_without_a_splits_name_are_one_source_in_their_order(folder):
    path = folder(b=[{"a": 3}, {"a": 4}], a=[{"a": 1}, {"a": 2}], deep__c=[{"a": 5}])
    (path / "notes.txt").write_text("no rows")
    (path / ".hidden.jsonl").write_text('{"a": 6}\n')
    source = open_source("directory", path)
    assert (source.label, source.splits, source.split_name) == ("3 files", [], "")
    found = list(source.rows())
    assert texts(found) == [1, 2, 3, 4, 5]
    assert [row.line for row in found] == [1, 2, 3, 4, 5]
    assert source.position == source.size
    for start in range(7):
        assert list(source.rows(start)) == found[start:]


def test_a_bad_row_of_a_file_is_told_by_the_files_name(folder):
    path = folder(a=[{"a": 1}], b=[{"a": 2}])
    (path / "b.jsonl").write_text('{"a": 2}\n{"a": \n{"a": 3}\n')
    found = read(path, kind="directory")
    assert [row.problem for row in found if row.problem] == [
        "b.jsonl, row 2: Not JSON: Expecting value at character 7."
    ]
    assert [row.line for row in found] == [1, 2, 3, 4]


def test_splits_are_told_by_the_files_names_and_the_one_for_training_is_read(folder):
    path = folder(
        **{"train-0": [{"a": 1}], "train-1": [{"a": 2}], "test": [{"a": 3}], "val__x": [{"a": 4}], "x": [{"a": 5}]}
    )
    source = open_source("directory", path)
    assert (sorted(source.splits), source.split_name) == (["other", "test", "train", "validation"], "train")
    assert texts(source.rows()) == [1, 2]
    assert texts(read(path, kind="directory", split_name="test")) == [3]
    assert texts(read(path, kind="directory", split_name="validation")) == [4]
    assert texts(read(path, kind="directory", split_name="other")) == [5]
    with pytest.raises(SourceUnusable, match=r'There is no split "dev"\. Choose one of '):
        read(path, kind="directory", split_name="dev")


def test_a_dataset_card_tells_subsets_and_splits(folder):
    path = folder(x=[{"a": 1}], y=[{"a": 2}], z=[{"a": 3}])
    (path / "README.md").write_text(
        "---\nconfigs:\n- config_name: small\n  data_files: x.jsonl\n- config_name: large\n  data_files:\n"
        "  - split: train\n    path: [x.jsonl, y.jsonl]\n  - split: test\n    path: 'z*'\n  - split: out\n"
        "    path: ../*\n---\n# Rows\n"
    )
    source = open_source("directory", path, subset="large")
    assert (source.subsets, source.splits) == (["small", "large"], ["train", "test"])
    assert texts(source.rows()) == [1, 2]
    assert texts(read(path, kind="directory", subset="large", split_name="test")) == [3]
    assert texts(read(path, kind="directory", subset="small")) == [1]
    with pytest.raises(SourceUnusable, match="Choose one of small, large"):
        read(path, kind="directory", subset="none")


def test_a_card_that_says_nothing_of_use_is_passed_over(folder):
    path = folder(x=[{"a": 1}])
    for card in ("# Rows", "---\nconfigs: 3\n---\n", "---\n[\n---\n", "---\nconfigs:\n- data_files: 7\n---\n"):
        (path / "README.md").write_text(card)
        assert texts(read(path, kind="directory")) == [1]


def test_a_directory_without_rows_is_refused(tmp_path):
    with pytest.raises(SourceUnusable, match=r"holds no file that can be read\. Put JSON Lines"):
        read(tmp_path, kind="directory")
    with pytest.raises(SourceUnusable, match="There is no directory"):
        read(tmp_path / "none", kind="directory")
    (tmp_path / "a.csv").write_bytes("a,b\n".encode("utf-16"))
    with pytest.raises(SourceUnusable, match=r"In this directory: a.csv is UTF-16"):
        read(tmp_path, kind="directory")


def test_what_the_datasets_library_saved_is_read(tmp_path):
    import datasets

    datasets.disable_progress_bars()
    saved = datasets.Dataset.from_list(ROWS)
    saved.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=saved.select(range(600)), eval=saved.select(range(600, 1000))).save_to_disk(
        tmp_path / "two"
    )
    assert [row.row for row in read(tmp_path / "one", kind="directory")] == ROWS
    source = open_source("directory", tmp_path / "two")
    assert (source.splits, source.split_name, source.columns_hint) == (["eval", "train"], "train", ["prompt", "turns"])
    assert [row.row for row in source.rows(300)] == ROWS[300:600]
    assert source.position == source.size
    found = read(tmp_path / "two", 3, kind="directory", split_name="eval")
    assert [row.row for row in found] == ROWS[603:]
    assert found[0].line == 4


def test_a_saved_dataset_that_is_damaged_is_refused(tmp_path):
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "one")
    next((tmp_path / "one").glob("*.arrow")).write_bytes(b"nothing")
    with pytest.raises(SourceUnusable, match="Save it again with save_to_disk"):
        read(tmp_path / "one", kind="directory")


def test_a_directory_names_the_files_that_break_off(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.jsonl").write_text('{"a": 1}\n' + '{"a": ' * (number != 2))
    source = open_source("directory", tmp_path)
    assert len(list(source.rows())) == 5 + 4
    assert [name for name in "01234" if f"{name}.jsonl: The source breaks off after row 1: " in source.broke_off] == [
        "0", "1", "3",
    ]  # fmt: skip
    assert source.broke_off.endswith("Others of its files do too: 1.")
    for number in range(5):
        (tmp_path / f"{number}.jsonl").write_text('{"a": 1}\n')
    whole = open_source("directory", tmp_path)
    list(whole.rows())
    assert whole.broke_off == ""
