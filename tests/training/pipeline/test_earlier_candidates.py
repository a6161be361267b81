"""Candidates of earlier rounds, as a later one reads them."""

from tests.training.pipeline.runs import write_lines
from training.pipeline.completions import Prompt
from training.pipeline.earlier_candidates import read_earlier


def row(prompt_id, text, *, asked="Why?", **changes):
    messages = [{"role": "user", "content": asked}]
    return {"prompt_id": prompt_id, "index": 0, "messages": messages, "text": text, "finish_reason": "stop"} | changes


def test_prompts_are_the_same_when_they_ask_the_same_whatever_their_ids(tmp_path):
    path = write_lines(tmp_path / "one.jsonl", [row("old", "words")])
    now = Prompt("new", [{"content": "Why?", "role": "user"}])
    (found,) = read_earlier([str(path)], [now])
    assert (found.prompt, found.completion.prompt_id, found.source) == (now, "new", str(path))


def test_an_id_that_another_prompt_has_now_is_not_taken_from_it(tmp_path):
    path = write_lines(tmp_path / "one.jsonl", [row("7", "words"), row("7", "more words")])
    found = read_earlier([str(path)], [Prompt("7", [{"role": "user", "content": "What else?"}])])
    assert [each.prompt.id for each in found] == ["7'", "7'"]
    assert found[0].prompt.messages == [{"role": "user", "content": "Why?"}]


def test_what_two_rounds_said_alike_is_taken_once_from_the_newer(tmp_path):
    paths = [
        write_lines(tmp_path / "one.jsonl", [row("7", "alike"), row("7", "first")]),
        write_lines(tmp_path / "two.jsonl", [row("7", "alike")]),
    ]
    found = read_earlier(map(str, paths), [])
    assert [(each.completion.text, each.source) for each in found] == [
        ("alike", str(paths[1])),
        ("first", str(paths[0])),
    ]
