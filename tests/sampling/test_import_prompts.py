"""Prompts come in whole, once, and every line that does not is accounted for."""

import io
import json

import pytest

from sampling import actions
from sampling.models import Prompt, PromptImport, PromptSet

pytestmark = pytest.mark.django_db


def jsonl(*rows: dict | str) -> io.BytesIO:
    return io.BytesIO("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode())


def import_(file: io.BytesIO, **changes) -> PromptImport:
    return actions.import_prompts(prompt_set_name="everyday", file=file, file_name="a.jsonl", **changes)


def test_good_lines_are_added_and_bad_ones_reported(alice):
    report = import_(
        jsonl({"prompt": "one"}, "{", {"prompt": "two", "split": "eval", "metadata": {"kind": "list"}}),
        created_by=alice,
    )

    assert (report.added, report.rejected_count) == (2, 1)
    assert report.rejected[0]["line"] == 2
    assert "Not JSON" in report.rejected[0]["reason"]
    assert report.rejected[0]["content"] == "{"
    one, two = Prompt.objects.all()
    assert (one.split, two.split, two.metadata) == ("train", "eval", {"kind": "list"})
    assert report.prompt_set.created_by == alice


def test_importing_a_file_twice_adds_nothing():
    rows = [{"prompt": "one"}, {"prompt": "two"}]
    import_(jsonl(*rows))

    second = import_(jsonl(*rows, {"prompt": "three"}))

    assert second.added == 1
    assert [bad["reason"] for bad in second.rejected] == ["The set has this prompt already."] * 2
    assert Prompt.objects.count() == 3


def test_bad_lines_are_listed_in_the_order_of_the_file():
    import_(jsonl({"prompt": "one"}))
    report = import_(jsonl({"prompt": "one"}, "{", {"prompt": "two"}, {"prompt": "two"}))
    assert [bad["line"] for bad in report.rejected] == [1, 2, 4]


def test_another_set_may_have_the_same_prompt():
    import_(jsonl({"prompt": "one"}))
    actions.import_prompts(prompt_set_name="other", file=jsonl({"prompt": "one"}), file_name="b.jsonl")
    assert Prompt.objects.count() == 2


def test_more_lines_than_a_batch_are_all_added(monkeypatch):
    monkeypatch.setattr(actions, "IMPORT_BATCH", 3)
    seen = []
    file = jsonl(*({"prompt": str(number)} for number in range(8)))

    report = import_(file, on_progress=seen.append)

    assert report.added == 8
    assert seen == sorted(seen)
    assert seen[-1] == len(file.getvalue())


def test_only_the_first_bad_lines_are_kept_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(actions, "REJECTED_KEPT", 3)
    report = import_(jsonl(*["{"] * 10))
    assert (len(report.rejected), report.rejected_count) == (3, 10)


def test_a_line_without_a_split_goes_to_eval_by_its_content():
    rows = [{"prompt": f"Question {number}"} for number in range(400)]
    import_(jsonl(*rows), default_eval_share=0.25)
    by_text = {prompt.messages[0]["content"]: prompt.split for prompt in Prompt.objects.all()}
    # 400 draws at 1/4: the mean is 100, the standard deviation sqrt(400 * 3/16) = 8.7; four of them are 35
    assert 65 < list(by_text.values()).count("eval") < 135

    actions.import_prompts(prompt_set_name="again", file=jsonl(*reversed(rows)), file_name="b", default_eval_share=0.25)

    again = PromptSet.objects.get(name="again").prompts.all()
    assert {prompt.messages[0]["content"]: prompt.split for prompt in again} == by_text


def test_a_named_split_is_kept_whatever_the_share():
    import_(jsonl({"prompt": "one", "split": "train"}), default_eval_share=1.0)
    assert Prompt.objects.get().split == "train"


def test_what_postgresql_cannot_hold_is_reported_and_not_raised():
    report = import_(io.BytesIO(b'{"prompt": "a\\u0000b"}\n\x00\xff\xfe\n{"prompt": "good"}'))
    assert (report.added, report.rejected_count) == (1, 2)
