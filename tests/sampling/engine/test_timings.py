"""Times of phases, in a file that outlives kills."""

import os

import pytest

from sampling.engine import timings
from sampling.engine.phases import KINDS, Kind, kind_of, without_counts
from sampling.engine.run_dir import Progress
from sampling.engine.timings import Span


def test_a_phase_lasts_until_the_next_one_or_the_end(tmp_path):
    timings.begin_attempt(tmp_path, "starting Python", at=100)
    timings.mark(tmp_path, "training", at=103)
    assert timings.read(tmp_path) == [Span("starting Python", 1, 100, 103), Span("training", 1, 103, None)]

    timings.mark(tmp_path, None, at=110)
    assert timings.read(tmp_path)[-1] == Span("training", 1, 103, 110)


def test_an_attempt_that_was_killed_ended_at_its_last_sign_of_life(tmp_path):
    log = tmp_path / "output.log"
    log.write_text("step 3\n")
    os.utime(log, (140, 140))
    timings.begin_attempt(tmp_path, at=100)
    timings.mark(tmp_path, "training", at=103)
    timings.begin_attempt(tmp_path, signs=[log, tmp_path / "metrics.jsonl"], at=500)

    # 103 to 140: the 360 seconds in which nobody lived count for nothing.
    assert timings.read(tmp_path)[1:] == [Span("training", 1, 103, 140), Span("starting Python", 2, 500, None)]


def test_an_attempt_without_a_later_sign_ended_when_its_phase_began(tmp_path):
    timings.begin_attempt(tmp_path, at=100)
    timings.mark(tmp_path, "training", at=103)
    timings.begin_attempt(tmp_path, at=500)
    assert [span.phase for span in timings.read(tmp_path)] == ["starting Python", "starting Python"]


def test_a_program_tells_from_when_it_lives_how_long_its_imports_took(tmp_path):
    timings.begin_attempt(tmp_path, at=1000)  # long before this process
    timings.begin_program(tmp_path)
    starting, importing, preparing = timings.read(tmp_path)
    assert (starting.phase, importing.phase, preparing.phase) == ("starting Python", "importing", "preparing")
    assert starting.begin == 1000
    assert starting.end == importing.begin < preparing.begin


def test_a_program_started_by_hand_begins_an_attempt_of_its_own(tmp_path):
    timings.begin_program(tmp_path)
    timings.end_program(tmp_path)
    timings.begin_program(tmp_path)
    assert {span.attempt for span in timings.read(tmp_path)} == {1, 2}


def test_an_end_that_was_told_is_not_told_twice(tmp_path):
    timings.begin_attempt(tmp_path)
    timings.end_attempt(tmp_path)
    before = (tmp_path / "timings.jsonl").read_bytes()
    timings.end_attempt(tmp_path)
    assert (tmp_path / "timings.jsonl").read_bytes() == before


def test_torn_and_odd_lines_are_left_out(tmp_path):
    lines = ['{"at": 1, "phase": "training", "attempt": 1}', "[]", "{", '{"at": "x", "phase": "y"}', '{"at": 3, "ph']
    (tmp_path / "timings.jsonl").write_text("\n".join(lines))
    assert timings.read(tmp_path) == [Span("training", 1, 1, None)]


def test_a_clock_that_was_set_back_makes_no_negative_time(tmp_path):
    timings.begin_attempt(tmp_path, "training", at=100)
    timings.mark(tmp_path, None, at=90)
    assert timings.read(tmp_path) == []


def test_what_cannot_be_written_stops_nothing(tmp_path):
    timings.mark(tmp_path / "gone", "training")
    assert timings.read(tmp_path / "gone") == []


def test_progress_records_a_phase_once_whatever_it_counts(tmp_path):
    progress = Progress(tmp_path, unit="texts", every_seconds=0)
    timings.begin_attempt(tmp_path)
    for done in range(3):
        progress.update(phase=f"measuring: {done} of 9 texts")
    progress.update(phase="saving")
    timings.end_attempt(tmp_path)
    events = (tmp_path / "timings.jsonl").read_text().splitlines()
    assert len(events) == 4  # the start, measuring, saving, the end


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        ("training", Kind.WORK),
        ("saving a checkpoint", Kind.WORK),
        ("candidates at temperature 0.8: sampling", Kind.WORK),
        ("candidates at temperature 0.8: starting the engine", Kind.ENGINE),
        ("candidates at temperature 0.8", Kind.ENGINE),
        ("measuring the old policy: everyday", Kind.WORK),
        ("loading", Kind.LOADING),
        ("importing", Kind.STARTING),
        ("doing something new", Kind.OTHER),
    ],
)
def test_a_phase_counts_as_work_only_where_the_table_says_so(phase, kind):
    assert kind_of(phase) == kind


def test_counts_are_no_part_of_a_phase():
    assert without_counts("measuring on held-out pairs: 1,003 of 9,999 texts") == "measuring on held-out pairs"
    assert without_counts("measuring the old policy: everyday") == "measuring the old policy: everyday"


def test_every_kind_has_a_phase_but_the_one_for_the_unnamed():
    assert set(KINDS.values()) == set(Kind) - {Kind.OTHER}
