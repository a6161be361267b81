"""Whole and half-broken files of each kind, row by row."""

import gzip
import json
import tracemalloc

import pytest

from sampling.intake.sources import SourceUnusable, open_source
from sampling.intake.sources import streams as streams_module
from sampling.intake.sources.rows import CONTENT_CHARACTERS, ROW_CHARACTERS

ROWS = [{"prompt": f"question {number}", "n": number} for number in range(1, 8)]


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: bytes | str):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(path, start=0):
    return list(open_source("file", path).rows(start))


def good(path):
    found = read(path)
    assert [row.problem for row in found] == [""] * len(found)
    assert [row.line for row in found] == list(range(1, len(found) + 1))
    return [row.row for row in found]


def problems(path):
    return [(row.line, row.problem) for row in read(path) if row.problem]


# --- what a file is, by its content -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (lines(ROWS), "JSON Lines"),
        ("\ufeff" + lines(ROWS), "JSON Lines"),
        (json.dumps(ROWS), "JSON"),
        (json.dumps(ROWS, indent=2), "JSON"),
        (json.dumps({"data": ROWS}), "JSON"),
        (json.dumps({"version": 1, "about": {"by": ["us"]}, "data": ROWS, "end": [1]}, indent=1), "JSON"),
        (json.dumps({"my questions": ROWS}), "JSON"),
        ("\n".join(json.dumps(row, indent=4) for row in ROWS), "JSON"),
    ],
)
@pytest.mark.parametrize("name", ["data", "data.txt", "data.json"])
def test_json_is_recognised_by_its_content(write, name, content, label):
    path = write(name, content)
    assert open_source("file", path).label == label
    assert good(path) == ROWS


@pytest.mark.parametrize(("delimiter", "label"), [(",", "CSV"), (";", "CSV (;)"), ("\t", "TSV"), ("|", "CSV (|)")])
def test_a_tables_delimiter_is_found_by_its_content(write, delimiter, label):
    path = write("data", "\ufeff" + delimiter.join("ab") + '\r\n"1,;|\tx"' + delimiter + "2\r\n")
    assert open_source("file", path).label == label
    assert good(path) == [{"a": "1,;|\tx", "b": "2"}]


def test_a_gzip_is_recognised_by_its_content_whatever_it_is_called(write):
    assert good(write("data.jsonl", gzip.compress(lines(ROWS).encode()))) == ROWS
    assert good(write("data.csv.gz", gzip.compress(b"a,b\n1,2\n"))) == [{"a": "1", "b": "2"}]
    two_members = gzip.compress(lines(ROWS[:3]).encode()) + gzip.compress(lines(ROWS[3:]).encode()) + bytes(512)
    assert good(write("data", two_members)) == ROWS


def test_a_table_of_one_column_is_one_only_by_its_name(write):
    assert good(write("prompts.csv", "prompt\nWhy?\nHow?\n")) == [{"prompt": "Why?"}, {"prompt": "How?"}]
    with pytest.raises(SourceUnusable, match="not recognised"):
        read(write("prompts.txt", "prompt\nWhy?\nHow?\n"))


def test_a_file_whose_name_says_json_lines_is_never_taken_for_one_object(write):
    row = {"data": [{"a": 1}]}
    assert good(write("one.jsonl", json.dumps(row))) == [row]
    assert good(write("one.json", json.dumps(row))) == [{"a": 1}]


def test_an_object_with_a_conversation_is_a_row_and_no_list_of_rows(write):
    row = {"messages": [{"role": "user", "content": "Why?"}], "id": 3}
    assert good(write("one.json", json.dumps(row))) == [row]
    assert good(write("one.json", json.dumps(row, indent=2))) == [row]


def test_texts_alone_are_rows_with_a_text(write):
    assert good(write("data.json", '["Why?", "How \\"so\\", [then]?"]')) == [
        {"text": "Why?"},
        {"text": 'How "so", [then]?'},
    ]


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"PK\x03\x04rest", "Unpack it, or save the sheet as CSV"),
        (b"\x28\xb5\x2f\xfdrest", "unzstd"),
        (b"BZh9rest", "bunzip2"),
        ("prompt,x\n1,2\n".encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
        ('{"prompt": "Why?"}'.encode("utf-16-le"), "iconv -f UTF-16 -t UTF-8"),
        ('\n{"prompt": "Why?"}'.encode("utf-32-be"), "iconv -f UTF-16 -t UTF-8"),
        (gzip.compress(bytes(1_000_000), mtime=0), "is no text: it begins with bytes that no letter has"),
        (b"\0\1\2\3 some other file", "is no text"),
        (gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "a gzip inside of a gzip"),
        (b"Dear reader, this is prose.\nIt has no rows at all.", "not recognised"),
        (b"PAR1 and then nothing", "no whole Parquet file"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused_with_the_remedy(write, content, remedy):
    with pytest.raises(SourceUnusable, match=remedy):
        read(write("data", content))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for location in (tmp_path / "none.jsonl", tmp_path, "/dev/zero", "a\0b"):
        with pytest.raises(SourceUnusable):
            open_source("file", location)


# --- bad rows among good ones -------------------------------------------------------------------------------------


def test_each_bad_line_is_told_with_its_content_and_the_others_are_read(write):
    path = write(
        "data.jsonl",
        b'{"a": 1}\n{"a": \n\n{"a": "\xff"}\n[1]\n{"a": Infinity}\n{"a": "\\u0000"}\n{"a": "\\ud800"}\n{"a": 1e999}\n'
        b'{"a": 2}\n\n\n',
    )
    found = read(path)
    assert [row.row for row in found] == [{"a": 1}, *[None] * 8, {"a": 2}]
    assert [row.problem for row in found[1:9]] == [
        "Not JSON: Expecting value at character 7.",
        "The line is empty.",
        "Invalid UTF-8 at byte 8 of the line (0xff). Save the file as UTF-8.",
        'The line is a list; it must be an object like {"prompt": "..."}.',
        "Not JSON: Infinity is not a JSON value.",
        '"a" holds a NUL character (\\u0000). Remove it.',
        '"a" holds half of a surrogate pair, which is no character. Remove it.',
        "Not usable: the number 1e999 is too large.",
    ]
    assert found[1].content == '{"a": '
    assert found[3].content == '{"a": "\N{REPLACEMENT CHARACTER}"}'


def test_nan_is_read_as_null_as_pandas_and_pythons_json_mean_it(write):
    assert good(write("data.jsonl", '{"comment": NaN}\n')) == [{"comment": None}]
    assert good(write("data.json", '[{"comment": NaN}]')) == [{"comment": None}]


def test_a_bad_row_inside_of_a_json_list_stops_nothing(write):
    path = write("data.json", '[{"a": 1}, {"a" 2}, {"a": [3}, 4, {"a": 5], {"a": Infinity}, {"a": "}]"}, ]')
    found = read(path)
    assert [row.row for row in found] == [{"a": 1}, *[None] * 5, {"a": "}]"}]
    assert [row.content for row in found[1:6]] == ['{"a" 2}', '{"a": [3}', "4", '{"a": 5]', '{"a": Infinity}']


def test_a_row_that_is_too_long_is_told_and_passed_over(write):
    long = json.dumps({"prompt": "x" * (5 * ROW_CHARACTERS)})
    for content in (
        lines(ROWS[:1]) + long + "\n" + lines(ROWS[1:2]),
        f"[{json.dumps(ROWS[0])},{long},{json.dumps(ROWS[1])}]",
    ):
        found = read(write("data", content))
        assert [row.row for row in found] == [ROWS[0], None, ROWS[1]]
        assert found[1].problem == "The line is longer than 2,000,000 characters. Shorten the row."
        assert len(found[1].content) == CONTENT_CHARACTERS


def test_a_text_with_escapes_that_is_too_long_ends_where_it_ends(write):
    long = '{"a": "' + '\\"\\\\' * (3 * ROW_CHARACTERS) + '", "b": "]"}'
    found = read(write("data.json", f'[{long}, {{"a": 1}}]'))
    assert [row.row for row in found] == [None, {"a": 1}]


def test_a_row_of_two_million_characters_is_read(write):
    row = {"prompt": "ü" * (ROW_CHARACTERS - 20)}
    assert good(write("data.jsonl", json.dumps(row, ensure_ascii=False))) == [row]


def test_rows_of_a_table_with_too_many_or_too_few_values_are_told(write):
    path = write("data.csv", 'a,b\n1,2\n1,2,3\n\n"1\n1",2\n1\n1,2,,\n')
    found = read(path)
    assert [row.row for row in found] == [
        {"a": "1", "b": "2"},
        None,
        {"a": "1\n1", "b": "2"},
        None,
        {"a": "1", "b": "2"},
    ]
    assert found[1].problem == (
        "The row at line 3 of the file has 3 values, but the header names 2 columns. Is a quote or a delimiter missing?"
    )
    assert found[3].problem.startswith("The row at line 7 of the file has 1 values")
    assert found[1].content == "1,2,3\n"


def test_a_quote_that_is_not_closed_is_told(write):
    path = write("data.csv", 'a,b\n1,2\n"1,2\n1,2\n')
    assert [row.row for row in read(path)] == [{"a": "1", "b": "2"}, None]
    assert problems(path)[0][1].startswith("Not CSV from line 3 of the file on: unexpected end of data.")


def test_a_table_tells_bad_bytes_by_the_row_that_holds_them(write):
    path = write("data.csv", b"a,b\n1,\xfc\n3,4\n5,\0\n")
    assert [row.row for row in read(path)] == [None, {"a": "3", "b": "4"}, None]
    assert [problem for _, problem in problems(path)] == [
        "Invalid UTF-8 at byte 3 of line 2 of the file (0xfc). Save the file as UTF-8.",
        '"b" holds a NUL character (\\u0000). Remove it.',
    ]


def test_a_tables_json_lists_and_objects_become_such_and_all_else_stays_text(write):
    path = write("data.csv", 'a;b;c;d\n"[""x"", 1]";"{""role"": ""user""}";[see below];007\n')
    assert good(path) == [{"a": ["x", 1], "b": {"role": "user"}, "c": "[see below]", "d": "007"}]


def test_columns_of_a_table_get_names_of_their_own(write):
    assert good(write("data.csv", "a,a,\n1,2,3\n")) == [{"a": "1", "a 2": "2", "column 3": "3"}]


# --- files that break off -----------------------------------------------------------------------------------------


def test_a_gzip_that_breaks_off_gives_the_rows_before_and_then_the_problem(write):
    many = [{"prompt": f"question {number * 7919 % 10007}"} for number in range(5000)]
    packed = gzip.compress(lines(many).encode())
    for name, content in (
        ("data.jsonl.gz", packed),
        ("data.json.gz", gzip.compress(json.dumps(many).encode())),
        ("data.csv.gz", gzip.compress(("prompt,n\n" + "".join(f"{row['prompt']},1\n" for row in many)).encode())),
    ):
        found = read(write(name, content[: len(content) // 2]))
        assert 100 < len(found) < 5000
        assert [row.row["prompt"] for row in found[:-1]] == [row["prompt"] for row in many[: len(found) - 1]]
        assert found[-1].row is None
        assert found[-1].problem == "The gzip breaks off: the file is not whole. Copy or upload it again."


def test_a_bad_row_before_the_break_is_told_by_itself_and_hides_no_other(write):
    for name, content in (
        ("data.jsonl.gz", b'{"a": 1}\n{"a": \n{"a": 3}\n{"a'),
        ("data.csv.gz", b'a,b\n1,1\n2\n3,1\n4,"1'),
    ):
        path = write(name, gzip.compress(content)[:-4])
        found = read(path)
        assert [bool(row.row) for row in found] == [True, False, True, False]
        assert found[3].problem.startswith("The gzip breaks off")
        assert [read(path, start) for start in range(6)] == [found[start:] for start in range(6)]


def test_brackets_without_end_are_given_up(write):
    found = read(write("data.json", b'[{"a": 1}, ' + b"[" * 1_000_000))
    assert [row.row for row in found] == [{"a": 1}, None]
    assert found[1].problem.startswith("A row is nested too deeply; nothing behind it was read.")
    (deep,) = read(write("data.json", b'[{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}]"))
    assert deep.problem == "Not usable: nested too deeply."


def test_a_gzip_with_a_wrong_checksum_is_told_behind_its_rows(write):
    packed = bytearray(gzip.compress(lines(ROWS).encode()))
    packed[-8] ^= 0xFF
    found = read(write("data.jsonl.gz", bytes(packed)))
    assert [row.row for row in found] == [*ROWS, None]
    assert found[-1].problem.startswith("The gzip is damaged (Error -3 while decompressing data: incorrect data check)")


def test_what_stands_behind_a_gzip_or_a_list_is_told(write):
    found = read(write("data.gz", gzip.compress(lines(ROWS).encode()) + b"more"))
    assert (len(found), found[-1].problem[:29]) == (8, "Something that is no gzip sta")
    found = read(write("data.json", json.dumps(ROWS) + json.dumps(ROWS)))
    assert (len(found), found[-1].problem[:44]) == (8, "Something stands behind the end of the list;")


def test_a_json_list_that_breaks_off_gives_the_rows_before_and_then_the_problem(write):
    whole = json.dumps(ROWS)
    found = read(write("data.json", whole[:-5]))
    assert [row.row for row in found] == [*ROWS[:6], None]
    assert found[-1].problem == "The file ends in the middle of a row: it is not whole. Copy or upload it again."
    assert found[-1].content == '{"prompt": "question 7", "n"'
    found = read(write("data.json", whole[:-1]))
    assert [row.row for row in found] == [*ROWS, None]
    assert found[-1].problem.startswith("The list of rows is not closed")


def test_a_gzip_that_unpacks_to_gigabytes_without_a_row_is_given_up(write, monkeypatch):
    monkeypatch.setattr(streams_module, "ROW_SKIPPED", 50_000_000)
    bomb = gzip.compress(b'{"a": 1}\n{"a": "' + b"x" * 200_000_000, compresslevel=1)
    path = write("data.jsonl.gz", bomb)
    tracemalloc.start()
    found = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.row for row in found] == [{"a": 1}, None]
    assert found[1].problem.startswith("A row goes on for more than ")
    assert peak < 60_000_000  # bytes: a row of 8 MB, some copies of it, and never the 200 MB


def test_a_large_file_costs_no_memory(write):
    path = write("data.json", "[" + ",".join(json.dumps({"a": "x" * 1000}) for _ in range(10_000)) + "]")
    source = open_source("file", path)
    tracemalloc.start()
    assert sum(1 for _ in source.rows()) == 10_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000  # bytes, of a file of 10 MB


# --- progress and going on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data.jsonl", "data.json", "data.csv"])
def test_position_grows_to_the_files_size(write, name):
    content = {
        "data.jsonl": lines(ROWS * 10_000),
        "data.json": json.dumps(ROWS * 10_000),
        "data.csv": "prompt,n\n" + "why,1\n" * 100_000,
    }[name]
    source = open_source("file", write(name, content))
    positions = [source.position for row in source.rows() if row.line % 10_000 == 1]
    assert source.size == len(content)
    assert positions == sorted(positions)
    assert positions[1] < source.size
    assert source.position == source.size


@pytest.mark.parametrize("start", [0, 1, 4, 7, 8, 100])
def test_rows_go_on_from_where_one_stopped(write, start):
    for name, content in (
        ("a.jsonl", lines(ROWS[:3]) + "\n\nbad\n" + lines(ROWS[3:]) + "\n\n"),
        ("a.json", json.dumps(ROWS)[:-4]),
        ("a.csv", "a,b\n" + '"1\n",2\n' * 6 + "1\n"),
        ("a.jsonl.gz", gzip.compress(lines(ROWS).encode())[:-3]),
    ):
        path = write(name, content)
        assert read(path, start) == read(path)[start:]


# --- names of columns ---------------------------------------------------------------------------------------------


def test_a_table_may_name_two_thousand_columns_alike(write):
    """Were each name compared with all before it for each of its numbers, this took minutes."""
    (row,) = good(write("data.csv", ",".join(["a"] * 2000) + "\n" + ",".join(["1"] * 2000) + "\n"))
    assert list(row) == ["a", *(f"a {number}" for number in range(2, 2001))]


def test_a_table_of_more_columns_is_refused(write):
    with pytest.raises(SourceUnusable, match=r"names 3,000 columns; at most 2,000 are read\. Leave some"):
        read(write("data.csv", ",".join(["a"] * 3000) + "\n1\n"))


def test_columns_of_one_name_are_numbered_around_the_names_that_are_there(write):
    (row,) = good(write("data.csv", "a,a 2,a,,a,a 2\n1,2,3,4,5,6\n"))
    assert list(row) == ["a", "a 2", "a 3", "column 4", "a 4", "a 2 2"]


# --- sources that end before their end ----------------------------------------------------------------------------


def broke_off(path, start=0):
    source = open_source("file", path)
    list(source.rows(start))
    return source.broke_off


@pytest.mark.parametrize(
    ("name", "content", "after"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": "x', 1),
        ("a.jsonl", b'{"a": 1}\n{"a": {"b": 1}', 1),
        ("a.jsonl", '{"a": 1}\n{"a": "\u00fc'.encode()[:-1], 1),
        ("a.jsonl", gzip.compress(lines(ROWS).encode())[:-9], 7),
        ("a.json", b'[{"a": 1}, {"a": 2}, {"a"', 2),
        ("a.json", b'[{"a": 1}, {"a": 2}', 2),
        ("a.csv", b"a,b\n1,2\n3", 1),
        ("a.csv", b'a,b\n1,2\n3,"x', 1),
    ],
)
def test_a_source_says_after_which_row_it_breaks_off(write, name, content, after):
    path = write(name, content)
    assert broke_off(path).startswith(f"The source breaks off after row {after}: ")
    assert broke_off(path, start=after) == broke_off(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n'),
        ("a.jsonl", b'{"a": 1}\n[1]'),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}'),
        ("a.json", b'[{"a": 1}, {"a": x}]'),
        ("a.csv", b"a,b\n1,2\n3,4,5"),
        ("a.csv", b"a,b\n1,2\n3\n"),
    ],
)
def test_a_bad_row_at_the_end_of_a_whole_file_is_only_that(write, name, content):
    assert broke_off(write(name, content)) == ""


def test_a_source_that_is_read_again_is_judged_anew(write):
    path = write("a.jsonl", b'{"a": 1}\n{"a": ')
    source = open_source("file", path)
    list(source.rows())
    assert source.broke_off
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    list(source.rows())
    assert not source.broke_off


# --- rows that an import left out ---------------------------------------------------------------------------------


def left_out(content, **more) -> dict:
    return {"line": 12, "why": "rejected", "reason": "no prompt", "content": content} | more


def test_a_row_that_was_left_out_is_read_as_what_it_was(write):
    table = 'line,why,reason,content\n12,rejected,no prompt,"{""a"": 1}"\n'
    for path in (
        write("a.jsonl", lines([left_out('{"a": 1}')])),
        write("a.jsonl", lines([left_out({"a": 1}, cut=True)])),
        write("a.json", json.dumps([left_out('{"a": 1}')])),
        write("a.csv", table),
    ):
        (row,) = read(path)
        assert (row.line, row.row, row.problem, row.content) == (1, {"a": 1}, "", '{"a": 1}')


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (left_out("{"), "The content of row 12 is still no row: Not JSON"),
        (left_out(["a"]), '"content" is a list'),
        (left_out('{"a": "' + "x" * CONTENT_CHARACTERS), "Row 12 was cut at 20,000 characters"),
        (left_out("{", cut=True), "Row 12 was cut"),
        (left_out('{"a": "\\u0000"}'), "NUL"),
    ],
)
def test_a_row_that_is_not_mended_says_why(write, row, problem):
    (found,) = read(write("a.jsonl", lines([row])))
    assert found.row is None
    assert problem in found.problem


def test_other_rows_with_such_columns_stay_as_they_are(write):
    others = [left_out("{}", why="just so"), left_out("{}", more=1), {"line": 1, "why": "rejected", "content": "{}"}]
    assert good(write("a.jsonl", lines(others))) == others
