"""Importing demonstrations."""

import io
import json
import uuid

import pytest
from django.core.exceptions import ValidationError

from training import actions
from training.models import DemonstrationSet

pytestmark = pytest.mark.django_db


def chat(question: str, answer: str = "Yes.") -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def lines(*rows) -> io.BytesIO:
    return io.BytesIO(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))


def imported(*rows, name: str = "tulu", **more) -> DemonstrationSet:
    return actions.import_demonstrations(name=name, file=lines(*rows), file_name="tulu.jsonl", **more)


def refused(*rows, **more) -> dict:
    with pytest.raises(ValidationError) as raised:
        imported(*rows, **more)
    return raised.value.message_dict


def test_the_good_conversations_are_kept_and_the_bad_lines_listed():
    found = imported(chat("Why?"), b"not json", chat("How?"))
    assert (found.rows, found.rejected_count) == (2, 1)
    assert found.rejected == [{"line": 2, "reason": "Not JSON: Expecting value at character 1.", "content": "not json"}]
    with open(found.location, encoding="utf-8") as file:
        assert [json.loads(line) for line in file] == [chat("Why?"), chat("How?")]


def test_the_same_conversations_are_one_set_whatever_else_stood_in_the_file():
    first = imported(chat("Why?"))
    assert imported(chat("Why?") | {"source": "elsewhere"}, b"bad", name="other") == first
    assert DemonstrationSet.objects.count() == 1


def test_one_request_key_is_one_import():
    key = uuid.uuid4()
    first = imported(chat("Why?"), request_key=key)
    assert imported(chat("How?"), request_key=key) == first


def test_a_name_is_that_of_one_content():
    imported(chat("Why?"))
    assert refused(chat("How?")) == {"name": ['There is a set "tulu" with other conversations. Choose another name.']}


def test_a_file_without_a_good_line_is_refused_with_the_first_reasons():
    (message,) = refused(*[b"x"] * 7)["file"]
    assert message.startswith("No line can be used. Line 1: Not JSON")
    assert message.endswith("And 2 more.")
    assert refused()["file"] == ["The file is empty. Give one with a conversation a line."]
    assert not DemonstrationSet.objects.exists()


def test_nothing_is_left_behind_by_a_refused_import(settings):
    refused(b"x")
    assert list((settings.VAR_DIR / "demonstrations").iterdir()) == []


def test_only_the_first_bad_lines_are_kept_and_all_are_counted(monkeypatch):
    monkeypatch.setattr("training.actions.demonstrations.REJECTED_KEPT", 3)
    found = imported(chat("Why?"), *[b"x"] * 5)
    assert (len(found.rejected), found.rejected_count) == (3, 5)


def test_progress_is_told_in_bytes():
    told = []
    file = lines(*(chat(f"Why {number}?") for number in range(600)))
    actions.import_demonstrations(name="many", file=file, file_name="m", on_progress=told.append)
    assert told[-1] == len(file.getvalue())
    assert len(told) == 2  # after 500 lines, and at the end
