"""The bytes of every layout and file type, of the same few comparisons: nobody changes them without noticing.

Who changes them on purpose raises export_cache.FORMAT and writes the new hashes here. Parquet's bytes also change with
a release of pyarrow, which is pinned.
"""

import hashlib
import json

import pytest

from annotation.datasets.export_files import rows_file
from annotation.datasets.export_rows import Rows
from annotation.datasets.exports import rows_in
from annotation.datasets.layouts import LAYOUTS, FileType, View
from tests.annotation.datasets.layouts.frozen_rows import ALL, MARKS

GOLDEN = {
    "trl_preference judgment jsonl": "e64cc3f9e87010c3",
    "trl_preference judgment parquet": "469173b0fda238b6",
    "trl_preference majority jsonl": "374a382c06f6d37e",
    "trl_preference majority parquet": "bfe3f5f8312e6cc2",
    "trl_unpaired judgment jsonl": "72055e6334fd3af6",
    "trl_unpaired judgment parquet": "9ec60c661eae3e8f",
    "trl_unpaired majority jsonl": "5ed49913f107a803",
    "trl_unpaired majority parquet": "d6c75c515b2bf085",
    "sft judgment jsonl": "8ad21e148237c9c7",
    "sft judgment parquet": "5d2c9ec2e217cd6a",
    "sft majority jsonl": "f8d58798f1d062f6",
    "sft majority parquet": "d4c8837eb9854dc2",
    "rankings judgment jsonl": "b3a6a1c2d847932b",
    "rankings judgment parquet": "d6a20cb30f7b2b68",
    "rankings majority jsonl": "834cb432a8df840a",
    "rankings majority parquet": "3fc6e12d80bcb096",
    "openai_preference judgment jsonl": "a7a1356ae1dc5c36",
    "openai_preference judgment parquet": "b1df423c19a987f3",
    "openai_preference majority jsonl": "b523f9099e97607a",
    "openai_preference majority parquet": "b576fcbf53ca8009",
    "helpsteer3 judgment jsonl": "4e7a9844c35cbde4",
    "helpsteer3 judgment parquet": "2e91bfd4443f0c23",
    "helpsteer3 majority jsonl": "bc282a1dd28baae2",
    "helpsteer3 majority parquet": "56f9626dc3743b13",
    "ultrafeedback_binarized judgment jsonl": "f583ffad89e4e390",
    "ultrafeedback_binarized judgment parquet": "e552b4d9691bbcd1",
    "ultrafeedback_binarized majority jsonl": "8afcb3457c6b1afa",
    "ultrafeedback_binarized majority parquet": "d06d2b4b618e1802",
    "arena judgment jsonl": "b2965f39c73fe478",
    "arena judgment parquet": "14dfd40a94000b1b",
    "arena majority jsonl": "ab3c472a5a2fd1eb",
    "arena majority parquet": "f1b750b4e92b17ca",
}


def views():
    for key, layout in LAYOUTS.items():
        for rows in Rows:
            for file_type in FileType:
                yield View(key, rows, file_type, layout.has_rationales, "", MARKS)


def name_of(view):
    return f"{view.layout} {view.rows} {view.file_type}"


def write(path, view):
    return write_of(path, view, (make() for make in ALL))


def write_of(path, view, comparisons):
    features = LAYOUTS[view.layout].features(view)
    with rows_file(path, features, view.file_type) as file:
        for _, row in rows_in(comparisons, view):
            file.add(row)
    return file


@pytest.mark.parametrize("view", views(), ids=name_of)
def test_the_bytes_are_what_they_were(view, tmp_path, settings):
    settings.PSEUDONYM_KEY = "golden"
    written = write(tmp_path / "rows", view)
    content = (tmp_path / "rows").read_bytes()
    assert (written.file.size, written.file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert GOLDEN[name_of(view)] == written.file.sha256[:16]


@pytest.mark.parametrize("view", [view for view in views() if view.file_type == FileType.JSONL], ids=name_of)
def test_parquet_holds_what_the_lines_hold_in_the_columns_that_are_declared(view, tmp_path, settings):
    parquet = pytest.importorskip("pyarrow.parquet")
    settings.PSEUDONYM_KEY = "golden"
    write(tmp_path / "rows.jsonl", view)
    write(tmp_path / "rows.parquet", View(view.layout, view.rows, FileType.PARQUET, view.has_rationales, "", MARKS))
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().split("\n") if line]
    assert parquet.read_table(tmp_path / "rows.parquet").to_pylist() == lines
    assert lines
    for line in lines:
        assert list(line) == list(LAYOUTS[view.layout].features(view))
