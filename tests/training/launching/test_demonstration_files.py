"""Reading files of demonstrations."""

import io
import json

import pytest

from sampling.json_lines import BadLine
from training.launching.demonstration_files import MAX_LINE_CHARACTERS, Demonstration, read_demonstrations

USER, REPLY = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}
SYSTEM = {"role": "system", "content": "Be brief."}


def read(*rows) -> list[Demonstration | BadLine]:
    text = b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
    return list(read_demonstrations(io.BytesIO(text)))


def reason(row) -> str:
    (bad,) = read(row)
    assert isinstance(bad, BadLine)
    return bad.reason


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"messages": [USER, REPLY]}, [USER, REPLY]),
        ({"messages": [SYSTEM, USER, REPLY, USER, REPLY], "id": 4}, [SYSTEM, USER, REPLY, USER, REPLY]),
        ({"prompt": "Why?", "completion": "So."}, [USER, REPLY]),
        ({"prompt": [SYSTEM, USER], "completion": [REPLY]}, [SYSTEM, USER, REPLY]),
        ({"prompt": [USER], "completion": "So."}, [USER, REPLY]),
    ],
)
def test_conversations_and_trls_pairs_are_read(row, messages):
    assert read(row) == [Demonstration(1, messages)]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": [USER]}, 'The last message is from "user"'),
        ({"messages": [REPLY]}, "No message is the user's"),
        ({"messages": []}, "an empty list"),
        ({"messages": [USER, REPLY | {"weight": 0}]}, 'must be an object with "role" and "content" and nothing else'),
        ({"messages": [USER, SYSTEM, REPLY]}, "only the first message may be one"),
        ({"messages": [USER, REPLY], "prompt": "Why?"}, "both"),
        ({"prompt": "Why?"}, "neither"),
        ({"prompt": "Why?", "completion": "  "}, '"completion" is empty'),
        ({"prompt": [USER], "completion": [SYSTEM, REPLY]}, '"completion[0]" is a system message'),
        ({"prompt": "Why?", "completion": "\x00"}, "NUL"),
        ({"text": "..."}, "neither"),
        (b"[1, 2]", "The line is a list"),
        (b"\xff\xfe", "Invalid UTF-8 at byte 1"),
        (b'{"prompt": "' + b"x" * MAX_LINE_CHARACTERS + b'", "completion": "y"}', "longer than 1,000,000 characters"),
    ],
)
def test_a_bad_line_says_why(row, words):
    assert words in reason(row)


def test_the_second_of_two_equal_conversations_names_the_first():
    (_, bad) = read({"messages": [USER, REPLY]}, {"prompt": "Why?", "completion": "So."})
    assert bad.reason == "The same conversation stands in line 1."


def test_blank_lines_are_passed_over_and_counted_as_lines():
    assert [each.line for each in read(b"", {"messages": [USER, REPLY]}, b"  ", b"x")] == [2, 4]
