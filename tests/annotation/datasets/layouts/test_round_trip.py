"""What is exported is read back by our own imports as the same pairs: each layout, from the bytes of its file."""

import json

import pytest

from annotation.datasets.export_rows import Rows
from annotation.datasets.layouts import LAYOUTS, FileType, View
from annotation.rules.ranking import Ranking, pairs_of
from sampling.intake import formats
from tests.annotation.datasets.layouts.frozen_rows import comparison, judgment
from tests.annotation.datasets.layouts.test_bytes import write_of

PAIRED = ["trl_preference", "rankings", "openai_preference", "helpsteer3", "ultrafeedback_binarized", "arena"]


def two_ways():
    """Alice and Bob of one mind about how much, Charlie of another; a pair is (chosen, rejected)."""
    return comparison(
        {11: "Fruit & sugar.\u2028Boiled.", 12: 'Ein Stau\n\n"Jam"\\ 🍓'},
        [judgment(1, 101, [[11], [12]]), judgment(2, 102, [[11], [12]]), judgment(3, 103, [[12], [11]])],
    )


def read_back(tmp_path, view):
    write_of(tmp_path / "rows.jsonl", view, [two_ways()])
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().split("\n") if line]
    key = formats.recognise(rows)
    assert key is not None, rows[0]
    return key, [record for row in rows for record in formats.read(row, key)]


def pairs_in(record):
    texts = [completion.text for completion in record.completions]
    return [
        (texts[pair.chosen], texts[pair.rejected])
        for found in record.judgments
        for pair in pairs_of(Ranking(found.groups, found.strengths))
    ]


@pytest.mark.parametrize("layout", PAIRED)
def test_the_pairs_come_back_with_their_prompt(tmp_path, layout):
    _, records = read_back(tmp_path, View(layout, Rows.JUDGMENT, FileType.JSONL))
    first, second = (completion.text for completion in two_ways().completions.values())
    assert sorted(pair for record in records for pair in pairs_in(record)) == sorted(
        [(first, second), (first, second), (second, first)]
    )
    assert {tuple(turn["content"] for turn in record.messages) for record in records} == {("Be brief.", "What is jam?")}


@pytest.mark.parametrize("layout", PAIRED)
def test_the_majoritys_pair_comes_back(tmp_path, layout):
    _, records = read_back(tmp_path, View(layout, Rows.MAJORITY, FileType.JSONL))
    first, second = (completion.text for completion in two_ways().completions.values())
    # HelpSteer3's row has each annotator's own beside the overall one, and is read back as those.
    expected = {(first, second), (second, first)} if layout == "helpsteer3" else {(first, second)}
    assert {pair for record in records for pair in pairs_in(record)} == expected


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - set(PAIRED)))
def test_completions_come_back_where_a_row_has_no_pair(tmp_path, layout):
    _, records = read_back(tmp_path, View(layout, Rows.MAJORITY, FileType.JSONL))
    texts = {completion.text for completion in two_ways().completions.values()}
    assert {completion.text for record in records for completion in record.completions} <= texts
    assert records[0].completions


def test_a_ranking_keeps_its_annotator_time_strengths_and_models(tmp_path):
    key, records = read_back(tmp_path, View("rankings", Rows.JUDGMENT, FileType.JSONL))
    assert key == "rankings"
    (found,) = records[0].judgments
    assert found.annotator.startswith("annotator-")
    assert found.at.isoformat() == "2026-06-01T12:00:01+00:00"
    assert (found.groups, found.strengths) == (((0,), (1,)), ("better",))
    assert [completion.writer for completion in records[0].completions] == ["tiny-11", "tiny-12"]
