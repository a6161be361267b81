"""Whoever judged elsewhere is named in nothing that is kept of the rows that were looked at or left out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.importing.hiding import columns_of_names, seen_without_rows, without_names


def hidden(row, columns=()) -> str:
    return without_names(row if isinstance(row, str) else json.dumps(row), columns, lambda name: f"<{name[0]}>")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "a", "annotator": "dora"}, {"prompt": "a", "annotator": "<d>"}),
        ({"worker_email": "dora@example.org", "Annotator ID": 7}, {"worker_email": "<d>", "Annotator ID": "<7>"}),
        ({"annotators": ["dora"], "annotator": ["dora", None]}, {"annotators": ["dora"], "annotator": ["<d>", None]}),
        ({"a": [{"completed_by": {"id": 3, "email": "d@x.org"}}]}, {"a": [{"completed_by": "<3>"}]}),
        ({"responses": [{"user_id": "u-1", "rank": 1}]}, {"responses": [{"user_id": "<u>", "rank": 1}]}),
        ({"ranking.users": ["u-1"]}, {"ranking.users": ["<u>"]}),
        ({"judge": "gpt-4", "annotator1": 2, "user": "Why?"}, {"judge": "gpt-4", "annotator1": 2, "user": "Why?"}),
        ({"judge": "arena_user_12"}, {"judge": "<a>"}),
    ],
)
def test_a_column_that_says_who_judged_is_replaced(row, expected):
    assert json.loads(hidden(row)) == expected


def test_a_column_that_was_mapped_is_replaced_too():
    columns = columns_of_names({"mapping": {"annotator": "who.name + second", "prompt": "question"}})
    row = {"question": "dora", "who": {"name": "dora"}, "second": "erik"}
    assert json.loads(hidden(row, columns)) == {"question": "dora", "who": {"name": "<d>"}, "second": "<e>"}


CUT = ['{"annotator": "dora", "prompt": "a', '{"prompt": "a", "annotator": "dora', '{"annotator": 4711, "x']


@pytest.mark.parametrize("cut", CUT)
def test_in_a_row_that_is_cut_or_broken_too(cut):
    assert "dora" not in hidden(cut)
    assert "4711" not in hidden(cut)


def test_a_row_that_names_nobody_stays_as_it_is():
    row = '{"prompt":  "annotator" }'
    assert hidden(row) == row
    assert hidden("no JSON, annotator: dora") == "no JSON, annotator: dora"  # no columns: nobody knows


def test_what_an_escape_in_json_stands_for_can_be_stored():
    assert (
        hidden('{"annotator": "\\ud800", "prompt": "\\udfff \\u0000"}') == '{"annotator": "<?>", "prompt": "? \\u0000"}'
    )


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: (
    st.lists(inner) | st.dictionaries(st.sampled_from(["annotator", "user_id", "prompt", "\ud800"]) | st.text(), inner)
)), st.integers(0, 60))  # fmt: skip
def test_whatever_stands_in_a_row_it_can_be_stored(row, cut):
    text = json.dumps(row)
    for content in (text, text[:cut]):
        without_names(content, (), str.upper).encode()


def test_of_a_look_that_is_undone_only_numbers_stay():
    seen = {"rows": 3, "first_rows": ["a"], "filters": [{"label": "x", "removed": 1, "examples": [{"content": "a"}]}]}
    kept = seen_without_rows(seen)
    assert (kept["rows"], kept["first_rows"], kept["filters"]) == (
        3,
        [],
        [{"label": "x", "removed": 1, "examples": []}],
    )
