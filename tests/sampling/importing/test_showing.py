"""What an import's page shows: where it stands, how fast it goes, what was seen. No database."""

import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from sampling.importing import showing
from sampling.importing.showing import Moment, Stage
from sampling.models import DataImport


def row(**fields) -> DataImport:
    return DataImport(name="a.jsonl", what="prompts", request_key=uuid.uuid4(), **fields)


@pytest.mark.parametrize(
    ("doing", "state", "stage"),
    [
        ("look", "queued", Stage.LOOKING),
        ("look", "running", Stage.LOOKING),
        ("look", "finished", Stage.LOOKED),
        ("look", "failed", Stage.STOPPED),
        ("import", "running", Stage.BRINGING),
        ("import", "finished", Stage.BROUGHT),
        ("import", "cancelled", Stage.STOPPED),
        ("undo", "queued", Stage.TAKING_OUT),
        ("undo", "finished", Stage.TAKEN_OUT),
        ("undo", "failed", Stage.STOPPED),
    ],
)
def test_every_state_has_a_stage_and_words(doing, state, stage):
    one = row(doing=doing, state=state)
    assert showing.stage_of(one) == stage
    assert showing.standing(one).words


def test_it_can_be_read_in_another_way_while_nothing_of_it_is_here():
    assert showing.may_be_changed(row(doing="look", state="finished"))
    assert showing.may_be_changed(row(doing="look", state="failed"))
    assert showing.may_be_changed(row(doing="undo", state="finished", undone_at=timezone.now()))
    assert not showing.may_be_changed(row(doing="look", state="running"))
    assert showing.may_be_changed(row(doing="import", state="finished"))  # which brought nothing
    assert not showing.may_be_changed(row(doing="import", state="finished", prompts_added=4))
    assert not showing.may_be_changed(row(doing="undo", state="failed", prompts_added=4))


# --- how fast -----------------------------------------------------------------------------------------------


def test_speed_is_measured_since_the_older_moment():
    bringing = row(doing="import", state="running", done=300, total=900)
    seen = [Moment(100.0, 100, 1000), Moment(110.0, 200, 1500)]
    # In 20 s 2,000 rows and 200 KiB; of the 600 KiB that are left at 10 a second: 60 s
    found = showing.speed(bringing, seen, Moment(120.0, 300, 3000))
    assert found.rows_a_second == 100
    assert found.remaining == timedelta(seconds=60)


def test_no_speed_is_claimed_before_anything_moved():
    bringing = row(doing="import", state="running", done=300, total=900)
    still = Moment(100.0, 300, 1000)
    assert showing.speed(bringing, [], still) is None
    assert showing.speed(bringing, [still], Moment(100.5, 400, 1100)) is None  # too soon to say
    assert showing.speed(bringing, [still], Moment(130.0, 300, 1000)) is None
    assert showing.speed(bringing, [Moment(100.0, 900, 9000)], Moment(130.0, 300, 1000)) is None  # it began anew


def test_without_a_size_only_the_rate_is_told():
    found = showing.speed(row(done=0, total=0), [Moment(100.0, 0, 0)], Moment(110.0, 0, 50))
    assert (found.rows_a_second, found.remaining) == (5, None)


def test_moments_travel_in_an_address_and_nonsense_counts_as_none():
    seen = [Moment(100.0, 1, 2), Moment(110.5, 3, 4)]
    assert showing.moments_of(" ".join(map(str, seen))) == seen
    for nonsense in ("", "1", "1,2", "a,b,c", "1,2,3,4", "1,2,x 3"):
        assert showing.moments_of(nonsense) == []


def test_the_older_moment_is_given_up_when_the_newer_is_ten_seconds_old():
    old, young, now = Moment(100.0, 0, 0), Moment(110.0, 1, 1), Moment(119.0, 2, 2)
    assert showing.next_moments([], now) == [now]
    assert showing.next_moments([old, young], now) == [old, young]
    later = Moment(120.0, 3, 3)
    assert showing.next_moments([old, young], later) == [young, later]


# --- what was seen ------------------------------------------------------------------------------------------


def test_all_bars_have_the_scale_of_what_came_to_the_first_filter():
    steps = [
        {"label": "duplicates", "seen": 1000, "removed": 250, "examples": []},
        {"label": "length", "seen": 750, "removed": 75, "examples": []},
    ]
    first, second = showing.funnel(steps)
    # 600 wide: 750/1000 and 250/1000 of it, then 675/1000 and 75/1000
    assert (first.kept_width, first.removed_width, first.percent) == (450, 150, 25)
    assert (second.kept_width, second.removed_width, second.percent) == (405, 45, 10)


def test_filters_to_which_nothing_came_have_empty_bars():
    (only,) = showing.funnel([{"label": "length", "seen": 0, "removed": 0, "examples": []}])
    assert (only.kept_width, only.removed_width, only.percent) == (0, 0, 0)


def test_the_first_rows_are_a_table_by_column():
    table = showing.first_rows(
        {"columns": ["a", "b"], "first_rows": [json.dumps({"b": [1, {"c": None}], "a": "x"}), json.dumps({"a": None})]}
    )
    assert table.columns == ["a", "b"]
    assert [list(each.cells) for each in table.rows] == [["x", '[1, {"c": null}]'], ["", ""]]


def test_a_row_that_is_no_object_or_was_cut_stands_there_as_a_whole():
    cut = json.dumps({"a": "x" * 3000})[:2000]
    table = showing.first_rows({"columns": ["a"], "first_rows": [cut, "[1]", "nonsense"]})
    assert [each.whole[:6] for each in table.rows] == ['{"a": ', "[1]", "nonsen"]
    assert len(table.rows[0].whole) == showing.WHOLE_CHARACTERS


def test_columns_inside_columns_can_be_chosen_too():
    seen = {"columns": ["a", "b"], "first_rows": [json.dumps({"a": {"x": 1}, "b": 2}), json.dumps({"a": {"y": 1}})]}
    assert showing.paths(seen) == ["a", "b", "a.x", "a.y"]


@pytest.mark.parametrize(
    ("judgment", "words"),
    [
        (
            {"groups": [[1], [0, 2]], "strengths": ["significantly_better"], "by": "person", "annotator": "anna"},
            "2 over 1 = 3 (significantly better), by a person: anna",
        ),
        ({"groups": [[0, 1]], "by": "unknown", "all_bad": True}, "1 = 2: a tie, all of them bad"),
        ({"groups": [[0], [1]], "by": "votes"}, "1 over 2, by votes"),
    ],
)
def test_a_judgment_is_told_in_words(judgment, words):
    assert showing.in_words(judgment) == words


def test_counts_are_a_phrase():
    assert (
        showing.counts({"prompts": 1200, "completions": 2, "judgments": 1})
        == "1,200 prompts, 2 completions and 1 judgment"
    )
    assert showing.counts({"prompts": 1}) == "1 prompt"
    assert showing.counts({}) == ""
