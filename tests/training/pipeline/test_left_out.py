"""What `dropped.jsonl` says."""

from tests.training.pipeline.runs import read_lines
from training.pipeline.left_out import LeftOut, count_by_reason, shortened, write_left_out

EMPTY = LeftOut(reason="empty", prompt_id="7", line=3, excerpt="Why?")
LONG = LeftOut(reason="too_long", line=4, tokens=700, limit=512, excerpt="What is … ?")


def test_every_row_is_written_with_its_stage(tmp_path):
    write_left_out(tmp_path, "dpo", [EMPTY, LONG])
    first, second = read_lines(tmp_path / "dropped.jsonl")
    assert first == {
        "stage": "dpo", "reason": "empty", "excerpt": "Why?", "prompt_id": "7", "line": 3,
        "tokens": None, "limit": None,
    }  # fmt: skip
    assert (second["tokens"], second["limit"], second["excerpt"]) == (700, 512, "What is … ?")


def test_a_stage_that_is_asked_again_replaces_what_it_said_and_nothing_else(tmp_path):
    write_left_out(tmp_path, "dpo", [EMPTY, LONG])
    write_left_out(tmp_path, "sft", [LONG])
    write_left_out(tmp_path, "dpo", [EMPTY])
    assert [(row["stage"], row["reason"]) for row in read_lines(tmp_path / "dropped.jsonl")] == [
        ("sft", "too_long"),
        ("dpo", "empty"),
    ]


def test_a_stage_that_leaves_nothing_out_leaves_an_empty_list(tmp_path):
    write_left_out(tmp_path, "dpo", [])
    assert read_lines(tmp_path / "dropped.jsonl") == []


def test_of_several_processes_one_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    write_left_out(tmp_path, "dpo", [EMPTY])
    assert not (tmp_path / "dropped.jsonl").exists()


def test_the_counts_are_by_reason():
    assert count_by_reason([EMPTY, LONG, EMPTY]) == {"empty": 2, "too_long": 1}


def test_an_excerpt_is_one_line_and_short():
    assert shortened("one\n\n two") == "one two"
    assert shortened("abcdef", 4) == "abc…"
