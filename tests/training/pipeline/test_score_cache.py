"""Scores on disk, through kills and beside other writers."""

import threading

import pytest

from training.pipeline.score_cache import ScoreCache


def test_what_was_added_is_there_for_the_next_program(tmp_path):
    ScoreCache(tmp_path / "scores").add({"a": 1.5, "b": -0.25})
    again = ScoreCache(tmp_path / "scores")
    assert (again.get("a"), again.get("b"), again.get("c"), len(again)) == (1.5, -0.25, None, 2)


def test_reading_makes_no_file(tmp_path):
    assert ScoreCache(tmp_path / "scores").get("a") is None
    assert not (tmp_path / "scores").exists()


def test_a_line_that_a_kill_tore_or_a_disk_spoiled_is_as_if_it_had_not_been_written(tmp_path):
    cache = ScoreCache(tmp_path)
    cache.add({"a": 1.0})
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b'\x00\x00\n[]\n{"key": "c", "score": NaN}\n' + b'{"key": "b", "sco')
    assert len(ScoreCache(tmp_path)) == 1
    # The next program writes to a file of its own, so it does not go on in the middle of that line.
    ScoreCache(tmp_path).add({"b": 2.0})
    again = ScoreCache(tmp_path)
    assert (again.get("a"), again.get("b"), len(again)) == (1.0, 2.0, 2)


def test_the_score_that_was_there_first_counts(tmp_path):
    first, second = ScoreCache(tmp_path), ScoreCache(tmp_path)
    first.add({"a": 1.0})
    second.add({"a": 1.0625})  # the same conversation, batched with others: another rounding
    assert ScoreCache(tmp_path).get("a") == 1.0


def test_two_writers_at_once_lose_nothing(tmp_path):
    def write(start):
        cache = ScoreCache(tmp_path)
        for number in range(start, start + 200):
            cache.add({f"key {number}": float(number)})

    writers = [threading.Thread(target=write, args=(start,)) for start in (0, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    cache = ScoreCache(tmp_path)
    assert len(cache) == 400
    assert cache.get("key 399") == pytest.approx(399.0)
