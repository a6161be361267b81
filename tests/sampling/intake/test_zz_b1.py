"""Whatever bytes a source holds: nothing but SourceUnusable is raised, and no good row is lost to a bad one."""

import gzip
import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sampling.intake.sources import SourceUnusable, open_source

NAMES = ["data", "data.jsonl", "data.json", "data.csv", "data.tsv", "data.parquet", "data.jsonl.gz"]
quick = settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Bytes that look like something: pieces of JSON, tables, gzip and Parquet, thrown together.
PIECES = [
    b'{"a": 1}', b'{"a": "x"}', b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r\n", b"\r", b" ", b"a,b",
    b"1,2", b"NaN", b"\xff", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b\x08\0", b"PAR1", b'"data": [', b"\\ud800",
    b"\\u0000", b"null", b"1e999", b"-", b"\xed\xa0\x80", "ü".encode(), b"'", b";", b"\t", b"|",
]  # fmt: skip
hostile = st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=30).map(b"".join)
anything = st.binary(max_size=300) | hostile | hostile.map(gzip.compress) | hostile.map(lambda x: gzip.compress(x)[:-9])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(
    st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=5), json_values, min_size=1, max_size=4),
    min_size=1,
    max_size=12,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data"


def read(path):
    return list(open_source("file", path).rows())


@quick
@given(content=anything, name=st.sampled_from(NAMES), start=st.integers(0, 12))
def test_any_bytes_give_rows_or_are_unusable(tmp_path, content, name, start):
    path = tmp_path / name
    path.write_bytes(content)
    try:
        source = open_source("file", path)
        found = list(source.rows())
    except SourceUnusable as unusable:
        assert str(unusable)[-1:] in ".?"  # noqa: PT017 a sentence, for people
        return
    assert [row.line for row in found] == list(range(1, len(found) + 1))
    for row in found:
        assert (row.row is None) == bool(row.problem)
        (row.problem + row.content + json.dumps(row.row)).encode()  # UTF-8 can hold it, and no NUL is in it
        assert "\0" not in row.problem + row.content
    assert list(source.rows(start)) == found[start:]
    assert source.passed == max(len(found), 0)


@quick
@given(rows=rows, indent=st.none() | st.integers(0, 3), ascii_only=st.booleans())
def test_rows_come_back_from_a_json_list_as_they_went_in(path, rows, indent, ascii_only):
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=ascii_only))
    assert [row.row for row in read(path)] == rows


@quick
@given(rows=rows, cut=st.integers(0, 10_000), is_packed=st.booleans())
def test_rows_before_a_break_survive_it(path, rows, cut, is_packed):
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    content = b"".join(lines)
    cut %= len(content)
    path = path.with_suffix(".jsonl")
    path.write_bytes(gzip.compress(content[:cut])[:-1] if is_packed else content[:cut])
    before = 0
    while before < len(lines) and cut >= len(b"".join(lines[: before + 1])):
        before += 1
    try:
        found = read(path)
    except SourceUnusable:
        assert cut <= len(lines[0])
        return
    assert [row.row for row in found[:before]] == rows[:before]
    assert len(found) <= before + 1 + is_packed
    for start in range(len(found) + 2):
        assert list(open_source("file", path).rows(start)) == found[start:]


@quick
@given(rows=rows, cut=st.integers(1, 10_000))
def test_rows_before_a_break_in_a_json_list_survive_it(path, rows, cut):
    content = json.dumps(rows)
    cut = cut % len(content) or 1
    path.write_text(content[:cut])
    found = read(path)
    assert found[-1].problem
    assert [row.row for row in found[:-1]] == rows[: len(found) - 1]


@quick
@given(rows=rows, position=st.integers(0, 10_000), garbage=st.sampled_from(PIECES))
def test_a_bad_line_harms_no_other(path, rows, position, garbage):
    lines = [json.dumps(row).encode() for row in rows]
    position %= len(lines)
    bad = b"bad " + garbage.replace(b"\n", b"").replace(b"\r", b"")
    path = path.with_suffix(".jsonl")
    path.write_bytes(b"\n".join([*lines[:position], bad, *lines[position:]]))
    found = read(path)
    assert [row.row for row in found] == [*rows[:position], None, *rows[position:]]


@quick
@given(
    table=st.lists(st.lists(texts, min_size=3, max_size=3), min_size=1, max_size=8),
    delimiter=st.sampled_from(",\t;|"),
)
def test_any_texts_come_back_from_a_table(tmp_path, table, delimiter):
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    path = tmp_path / "data.csv"
    text = "\n".join(delimiter.join(map(quoted, row)) for row in [["a", "b", "c"], *table])
    path.write_bytes(text.encode())
    found = [[str(value) if isinstance(value, str) else None for value in row.row.values()] for row in read(path)]
    assert len(found) == len(table)
    for got, put in zip(found, table, strict=True):
        assert [cell for cell in got if cell is not None] == [
            cell for cell, back in zip(put, got, strict=True) if back is not None
        ]
