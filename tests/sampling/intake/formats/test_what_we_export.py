"""Every layout of our exports, over comparisons of every kind: recognised, and read back as the same preferences.

The one test here that looks at `annotation`, which writes what is read.
"""

import json
from collections import Counter

import pytest

from annotation.datasets.export_rows import Rows
from annotation.datasets.layouts import LAYOUTS, FileType, View
from sampling.intake import formats
from sampling.json_lines import Unusable
from tests.annotation.datasets.layouts.frozen_rows import ALL, MARKS
from tests.sampling.intake.formats.checking import check

FORMAT_OF = {key: "chat" if key == "sft" else key for key in LAYOUTS}
WITH_JUDGMENTS = [key for key in LAYOUTS if key not in ("sft", "trl_unpaired")]
# What they say beside the pairs: a row of these is a tie, which the layouts of chosen and rejected have no place for.
WITH_TIES = ("rankings", "helpsteer3", "arena")


def exported(key: str, rows: Rows) -> list[dict]:
    layout = LAYOUTS[key]
    view = View(key, rows, FileType.JSONL, layout.has_rationales, "", MARKS)
    written = [row for make in ALL for row in layout.rows(make(), view)]
    return json.loads(json.dumps(written))  # as a file has them


def pairs_of(records) -> Counter:
    """(prompt, better text, worse text) of every judgment."""
    pairs: Counter = Counter()
    for record in records:
        for judgment in record.judgments:
            for upper, better in enumerate(judgment.groups):
                for worse in judgment.groups[upper + 1 :]:
                    pairs.update(
                        (record.messages[-1]["content"], record.completions[one].text, record.completions[other].text)
                        for one in better
                        for other in worse
                    )
    return pairs


def read_back(key: str, rows: Rows):
    """The records. A completion alone that our model left empty is told, and left out here; compared, it comes back."""
    records, left_out = [], []
    for row in exported(key, rows):
        try:
            records += formats.read(row, FORMAT_OF[key])
        except Unusable as unusable:
            left_out.append(str(unusable))
    assert all("is empty" in reason or "empty message" in reason for reason in left_out)
    assert not left_out or key not in WITH_JUDGMENTS
    for record in records:
        check(record)
    return records


@pytest.mark.parametrize("rows", list(Rows))
@pytest.mark.parametrize("key", list(LAYOUTS))
def test_a_layout_is_recognised_as_what_it_is(key, rows):
    for row in exported(key, rows):
        assert formats.fitting([row]) == [FORMAT_OF[key]]


@pytest.mark.parametrize("rows", list(Rows))
@pytest.mark.parametrize("key", WITH_JUDGMENTS)
def test_all_layouts_say_the_same_preferences_when_read_back(key, rows):
    of_trl = read_back("trl_preference", rows)
    records = read_back(key, rows)
    assert pairs_of(records)
    if key == "rankings" and rows is Rows.MAJORITY:
        assert set(pairs_of(records)) <= set(pairs_of(of_trl))  # not those where a pair is in dispute
    elif key == "helpsteer3" and rows is Rows.MAJORITY:
        assert pairs_of(records)  # each annotator's own, not what most agree on
    else:
        assert pairs_of(records) == pairs_of(of_trl)


@pytest.mark.parametrize("key", WITH_TIES)
def test_ties_come_back_as_ties(key):
    records = read_back(key, Rows.JUDGMENT)
    groups = [group for record in records for judgment in record.judgments for group in judgment.groups]
    assert any(len(group) > 1 for group in groups)


def test_who_judged_comes_back_as_the_pseudonym():
    names = {
        key: {judgment.annotator for record in read_back(key, Rows.JUDGMENT) for judgment in record.judgments}
        for key in ("trl_preference", "rankings", "helpsteer3", "arena")
    }
    assert all(name.startswith("annotator-") for found in names.values() for name in found)
    assert names["rankings"] == names["helpsteer3"] == names["arena"]


def test_a_good_and_a_bad_completion_come_back_with_their_labels():
    records = read_back("trl_unpaired", Rows.JUDGMENT)
    labels = {record.completions[0].metadata["label"] for record in records}
    assert labels == {True, False}
