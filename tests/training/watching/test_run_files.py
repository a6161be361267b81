"""What is read from run directories: files that are long, torn, broken or gone."""

import pytest

from sampling.engine import run_dir as files
from tests.training.watching import written
from training.models import StageState
from training.watching import run_files

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(round):
    stage = round.stages.get(position=1)
    stage.run_dir.mkdir(parents=True)
    return stage


def test_a_run_directory_that_is_gone_is_empty(stage):
    stage.run_dir.rmdir()
    assert run_files.metrics(stage) == []
    assert run_files.probes(stage) == []
    assert run_files.progress_of(stage) == {}
    assert run_files.log_tail(stage, lines=10) == ""
    assert run_files.judged_prompts(stage, limit=3) == []
    assert run_files.dropped_path(stage.run_dir) is None
    assert not run_files.dropped_reasons(stage.run_dir)
    assert run_files.checkpoint_step(stage) is None
    assert run_files.tensorboard_folders([stage]) == []


def test_a_file_that_is_no_json_does_not_break_the_page(stage):
    for name in (files.PROGRESS, files.METRICS, "judged.jsonl", "dropped.jsonl", "probes.jsonl"):
        (stage.run_dir / name).write_bytes(b"{broken \xff\n")
    assert run_files.metrics(stage) == []
    assert run_files.probes(stage) == []
    assert run_files.progress_of(stage) == {}
    assert run_files.judged_prompts(stage, limit=3) == []
    assert not run_files.dropped_reasons(stage.run_dir)


def test_a_curve_that_goes_on_is_read_again(stage):
    written.lines(stage.run_dir / files.METRICS, written.curves(3))
    assert len(run_files.metrics(stage)) == 3
    assert run_files.metrics(stage) is run_files.metrics(stage)  # unchanged, it is not
    written.lines(stage.run_dir / files.METRICS, written.curves(4))
    assert len(run_files.metrics(stage)) == 4


def test_of_a_bar_that_was_redrawn_the_log_shows_the_last_state(stage):
    log = b"loading\n  0%|\r 50%|\r100%|\n\x1b[31mdone\x1b[0m \xff\n"
    (stage.run_dir / files.LOG).write_bytes(log)
    assert run_files.log_tail(stage, lines=10) == "loading\n100%|\ndone \N{REPLACEMENT CHARACTER}"


def test_of_a_long_log_only_the_tail_is_read(stage):
    (stage.run_dir / files.LOG).write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert run_files.log_tail(stage, lines=2) == "line 99998\nline 99999"


def test_of_several_matches_the_first_judges_over_the_old_policy_are_shown(stage):
    written.lines(stage.run_dir / "judged.jsonl", written.judged_rows())
    shown = run_files.judged_prompts(stage)
    assert [row["prompt_id"] for row in shown] == ["0", "1", "2", "3"]
    assert all("Sure!" in row["old"] for row in shown)


def test_an_unfinished_stage_goes_on_from_its_newest_checkpoint(stage):
    for name in ("checkpoint-8", "checkpoint-16", "runs", "checkpoint-x"):
        (stage.run_dir / "trainer" / name).mkdir(parents=True)
    assert run_files.checkpoint_step(stage) == 16
    stage.state = StageState.FINISHED
    assert run_files.checkpoint_step(stage) is None
