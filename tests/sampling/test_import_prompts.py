"""Prompts come in whole, once, and every line that does not is accounted for."""

import json
from pathlib import Path

import pytest

from sampling.importing import actions, reading
from sampling.importing.options import Options
from sampling.models import DataImport, Prompt, PromptSet

pytestmark = pytest.mark.django_db


@pytest.fixture
def jsonl(tmp_path):
    def write(*rows: dict | str | bytes) -> Path:
        lines = [row if isinstance(row, str | bytes) else json.dumps(row) for row in rows]
        path = tmp_path / "a.jsonl"
        path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
        return path

    return write


def import_(path: Path, *, into: str = "everyday", on_progress=None, created_by=None, **options) -> DataImport:
    return actions.import_now(
        what="prompts", prompt_set_name=into, location=str(path), options=Options(**options),
        on_progress=on_progress, created_by=created_by,
    )  # fmt: skip


def test_good_lines_are_added_and_bad_ones_reported(jsonl, alice):
    done = import_(
        jsonl({"prompt": "one"}, "{", {"prompt": "two", "split": "eval", "metadata": {"kind": "list"}}),
        created_by=alice,
    )

    assert (done.prompts_added, done.rejected_count) == (2, 1)
    rejected = done.left_out.get()
    assert (rejected.line, rejected.content) == (2, "{")
    assert "Not JSON" in rejected.reason
    one, two = Prompt.objects.all()
    assert (one.split, two.split, two.metadata) == ("train", "eval", {"kind": "list"})
    assert done.prompt_set.created_by == alice


def test_importing_a_file_twice_adds_nothing(jsonl):
    rows = [{"prompt": "one"}, {"prompt": "two"}]
    import_(jsonl(*rows))

    second = import_(jsonl(*rows, {"prompt": "three"}))

    assert (second.prompts_added, second.known_count, second.rejected_count) == (1, 2, 0)
    assert Prompt.objects.count() == 3


def test_bad_lines_are_listed_in_the_order_of_the_file(jsonl):
    done = import_(jsonl({"prompt": "one"}, "{", {"prompt": "two"}, {"prompt": ""}), steps=[{"filter": "duplicates"}])
    assert [row.line for row in done.left_out.all()] == [2, 4]


def test_another_set_may_have_the_same_prompt(jsonl):
    import_(jsonl({"prompt": "one"}))
    import_(jsonl({"prompt": "one"}), into="other")
    assert Prompt.objects.count() == 2


def test_more_lines_than_a_batch_are_all_added(monkeypatch, jsonl):
    monkeypatch.setattr(reading, "BATCH_ROWS", 3)
    seen = []

    done = import_(jsonl(*({"prompt": str(number)} for number in range(8))), on_progress=seen.append)

    assert done.prompts_added == 8
    rows = [progress.rows for progress in seen if progress.rows]
    assert rows == [3, 6, 8]


def test_a_line_without_a_split_goes_to_eval_by_its_content(jsonl):
    rows = [{"prompt": f"Question {number}"} for number in range(400)]
    import_(jsonl(*rows), eval_percent=25.0)
    by_text = {prompt.messages[0]["content"]: prompt.split for prompt in Prompt.objects.all()}
    # 400 draws at 1/4: the mean is 100, the standard deviation sqrt(400 * 3/16) = 8.7; four of them are 35
    assert 65 < list(by_text.values()).count("eval") < 135

    import_(jsonl(*reversed(rows)), into="again", eval_percent=25.0)

    again = PromptSet.objects.get(name="again").prompts.all()
    assert {prompt.messages[0]["content"]: prompt.split for prompt in again} == by_text


def test_a_named_split_is_kept_whatever_the_share(jsonl):
    import_(jsonl({"prompt": "one", "split": "train"}), eval_percent=100.0)
    assert Prompt.objects.get().split == "train"


def test_what_postgresql_cannot_hold_is_reported_and_not_raised(jsonl):
    done = import_(jsonl(b'{"prompt": "a\\u0000b"}', b"\x00\xff\xfe", b'{"prompt": "good"}'))
    assert (done.prompts_added, done.rejected_count) == (1, 2)
