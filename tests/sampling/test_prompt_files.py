"""Reading a file of prompts: every way in which a line can be bad, and that no bytes ever raise."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.prompt_files import MAX_LINE_CHARACTERS, BadLine, GoodPrompt, read_prompts


def read(*lines: bytes | str | dict) -> list[GoodPrompt | BadLine]:
    raw = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    return list(read_prompts(io.BytesIO(b"\n".join(raw))))


def reason(line: bytes | str | dict) -> str:
    [bad] = read(line)
    assert isinstance(bad, BadLine), bad
    return bad.reason


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def test_a_prompt_is_one_user_turn():
    assert read({"prompt": "Hello"}) == [GoodPrompt(1, [user("Hello")])]


def test_messages_split_and_metadata_are_kept():
    row = {"messages": [user("Hi"), {"role": "assistant", "content": "Hello"}, user("Bye")], "split": "eval"}

    [prompt] = read(row | {"metadata": {"kind": "chat", "weights": [1, 2.5, None]}})

    assert prompt.messages == row["messages"]
    assert prompt.split == "eval"
    assert prompt.metadata == {"kind": "chat", "weights": [1, 2.5, None]}


def test_system_goes_before_the_prompt():
    [prompt] = read({"prompt": "Hello", "system": "Be brief."})
    assert prompt.messages == [{"role": "system", "content": "Be brief."}, user("Hello")]


def test_good_and_bad_lines_come_in_the_order_of_the_file():
    lines = read({"prompt": "one"}, "{", {"prompt": "two"})
    assert [(type(line), line.line) for line in lines] == [(GoodPrompt, 1), (BadLine, 2), (GoodPrompt, 3)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "Not JSON: Expecting property name"),
        ('{"prompt": "a"} x', "Not JSON: Extra data at character 17"),
        ("[1]", 'The line is a list; it must be an object like {"prompt": "..."}.'),
        ('"hello"', "The line is text"),
        ({}, 'neither "prompt" nor "messages"'),
        ({"prompt": "a", "messages": [user("a")]}, 'both "prompt" and "messages"'),
        ({"prompt": "a", "slpit": "eval"}, 'Unknown field "slpit"'),
        ({"prompt": 7}, '"prompt" is a number; it must be text.'),
        ({"prompt": "  "}, '"prompt" is empty.'),
        ({"prompt": "a", "system": ""}, '"system" is empty.'),
        ({"prompt": "a", "split": "test"}, "\"split\" is unknown ('test'); it must be train or eval."),
        ({"prompt": "a", "metadata": [1]}, '"metadata" is a list; it must be an object.'),
        ({"messages": []}, '"messages" is an empty list'),
        ({"messages": "a"}, '"messages" is text'),
        ({"messages": ["a"]}, '"messages[0]" must be an object'),
        ({"messages": [{"role": "user"}]}, '"messages[0]" must be an object with "role" and "content"'),
        ({"messages": [user("")]}, '"messages[0].content" is empty.'),
        ({"messages": [{"role": "human", "content": "a"}]}, "\"messages[0].role\" is unknown ('human')"),
        ({"messages": [user("a"), {"role": "system", "content": "b"}]}, "only the first message may be one"),
        ({"messages": [user("a"), {"role": "assistant", "content": "b"}]}, 'The last message is from "assistant"'),
        ({"messages": [{"role": "system", "content": "b"}, user("a")], "system": "c"}, "give one"),
        ({"prompt": "a\0b"}, '"prompt" holds a NUL character'),
        ('{"prompt": "\\ud800"}', "half of a surrogate pair"),
        ({"prompt": "a", "metadata": {"k": ["\0"]}}, '"metadata" holds a NUL character'),
        ('{"prompt": "a", "metadata": {"x": NaN}}', "NaN is not a JSON value"),
        ('{"prompt": "a", "metadata": {"x": 1e999}}', "the number 1e999 is too large"),
        ('{"prompt": "a", "metadata": {"x": ' + "9" * 5000 + "}}", "Exceeds the limit"),
        ('{"prompt": "a", "metadata": {"x": ' + "[" * 30 + "]" * 30 + "}}", "nested more than 20 levels"),
        ("[" * 50_000, "nested too deeply"),
    ],
)
def test_a_bad_line_says_what_is_wrong(row, said):
    assert said in reason(row)


def test_invalid_utf8_is_named_by_its_byte():
    assert "Invalid UTF-8 at byte 13 of the line (0xff)" in reason(b'{"prompt": "\xff"}')


def test_a_byte_order_mark_is_no_error():
    assert read(b'\xef\xbb\xbf{"prompt": "Hello"}') == [GoodPrompt(1, [user("Hello")])]


def test_windows_line_ends_are_no_error():
    assert len(list(read_prompts(io.BytesIO(b'{"prompt": "a"}\r\n{"prompt": "b"}\r\n')))) == 2


def test_an_empty_line_is_reported_unless_it_is_the_last():
    lines = read({"prompt": "a"}, "", " ", {"prompt": "b"}, "", "")
    assert [(line.line, getattr(line, "reason", "")) for line in lines] == [
        (1, ""),
        (2, "The line is empty."),
        (3, "The line is empty."),
        (4, ""),
    ]


def test_the_second_of_two_equal_prompts_names_the_first():
    first, second = read({"prompt": "Hello"}, {"messages": [user("Hello")], "split": "eval"})
    assert isinstance(first, GoodPrompt)
    assert second.reason == "The same prompt stands in line 1."


def test_a_prompt_after_a_bad_line_with_the_same_text_is_good():
    _, second = read({"prompt": "Hello", "split": "nowhere"}, {"prompt": "Hello"})
    assert isinstance(second, GoodPrompt)


def test_an_over_long_line_is_named_and_the_next_one_read():
    lines = read({"prompt": "x" * MAX_LINE_CHARACTERS}, {"prompt": "short"})
    assert "longer than 100,000 characters" in lines[0].reason
    assert len(lines[0].content) == 500
    assert isinstance(lines[1], GoodPrompt)


def test_the_longest_allowed_line_is_good():
    frame = len(json.dumps({"prompt": ""}))
    [line] = read({"prompt": "x" * (MAX_LINE_CHARACTERS - frame)})
    assert isinstance(line, GoodPrompt)


class OneHugeLine(io.RawIOBase):
    """Gives as many bytes as are asked for, and refuses to give more than a megabyte at once."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readline(self, limit: int = -1) -> bytes:
        assert 0 < limit <= 1 << 20, "a whole line was asked for"
        given = min(limit, self.left)
        self.left -= given
        return b"x" * given


def test_a_line_of_a_gigabyte_is_never_held_in_memory():
    [bad] = read_prompts(OneHugeLine(1 << 30))
    assert "longer than" in bad.reason


@given(st.binary(max_size=400) | st.lists(st.binary(max_size=60)).map(b"\n".join))
def test_no_bytes_raise(content):
    for line in read_prompts(io.BytesIO(content)):
        json.dumps([line.line, getattr(line, "content", "")]).encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["prompt", "messages", "system", "split", "metadata", "other"])
turns = st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "assistant", "x"]), "content": st.text()})


@given(st.lists(st.dictionaries(fields, json_values | st.lists(turns, max_size=3), max_size=4), max_size=4))
def test_no_json_raises_and_every_line_is_accounted_for(rows):
    lines = read(*rows)
    assert [line.line for line in lines] == list(range(1, len(rows) + 1))
    for line in lines:
        if isinstance(line, GoodPrompt):
            assert line.messages[-1]["role"] == "user"
