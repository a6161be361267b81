"""Where a round's time went: what counts as work, what as waiting, and how it is drawn."""

import json
from datetime import UTC, datetime

import pytest
from django.urls import reverse

from sampling.engine.phases import Kind
from sampling.long_tasks import TaskState
from tests.training.rounds import order
from tests.training.watching.conftest import page, part
from training import actions
from training.models import StageState, TrainingRound
from training.watching import comparing, timing, timing_picture

pytestmark = pytest.mark.django_db


def record(directory, *events):
    """("training", 3), (None, 9): what began when; a third value is the number of an attempt."""
    directory.mkdir(parents=True, exist_ok=True)
    names = ("phase", "at", "attempt")
    lines = [json.dumps(dict(zip(names, event, strict=False))) for event in events]
    (directory / "timings.jsonl").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def timed(round):
    """A finished round of two stages that ran, with 5 seconds before them, 1 between and 2 after."""
    stages = list(round.stages.order_by("position"))
    record(round.run_dir, ("writing the data", 1000, 1), ("stages", 1005), ("gate and model card", 1066), (None, 1068))
    record(stages[0].run_dir, ("starting Python", 1005, 1), ("importing", 1006), ("checking dpo", 1010), (None, 1015))
    record(
        stages[1].run_dir,
        ("starting Python", 1016, 1), ("loading", 1020), ("training", 1022), ("saving", 1062),
        ("registering the checkpoint", 1064), (None, 1066),
    )  # fmt: skip
    at = datetime.fromtimestamp(990, UTC)
    TrainingRound.objects.filter(pk=round.pk).update(state=TaskState.FINISHED, created_at=at, finished_at=at)
    round.stages.filter(position__lte=2).update(state=StageState.FINISHED)
    return TrainingRound.objects.get(pk=round.pk)


def times_of(round):
    return timing.of_round(round, list(round.stages.order_by("position")))


def test_the_wall_time_is_set_beside_the_pure_work(timed):
    times = times_of(timed)
    # 5 of checking, 40 of training and 2 of saving are work; a worker had the round from 1000 to 1068.
    assert (times.work, times.wall) == (47, 68)
    assert times.ratio == pytest.approx(68 / 47)
    assert times.waiting == 10  # from 990, when it was asked for


def test_every_second_is_counted_once(timed):
    times = times_of(timed)
    assert sum(times.of(kind) for kind in Kind) == pytest.approx(times.wall)
    # Writing the data 5, the gate 2, and the second from 1015 to 1016 that nothing else claims.
    own = times.rows[-1]
    assert {piece.phase: piece.seconds for piece in own.by_phase()} == {
        "writing the data": 5, "gate and model card": 2, "between the stages": 1,
    }  # fmt: skip


def test_attempts_are_added_up_and_what_lies_between_them_is_waiting(timed):
    stage = timed.stages.get(position=2)
    record(timed.run_dir, ("stages", 1000, 1), (None, 1010), ("stages", 1100, 2), (None, 1130))
    record(stage.run_dir, ("training", 1000, 1), (None, 1010), ("loading", 1100, 2), ("training", 1105), (None, 1130))
    times = times_of(timed)
    row = times.of_stage(stage.kind)
    assert row.attempts == 2
    assert {piece.phase: piece.seconds for piece in row.by_phase()} == {"training": 35, "loading": 5}
    assert times.wall == 40
    assert times.waiting == 10 + 90  # in the queue, and from 1010 to 1100


def test_what_nobody_lived_to_end_is_not_guessed_at(timed):
    stage = timed.stages.get(position=2)
    record(stage.run_dir, ("loading", 1020, 1), ("training", 1022))
    assert [piece.phase for piece in timing.of_stage(stage).pieces] == ["loading"]


def test_while_a_stage_runs_its_phase_grows(timed, monkeypatch):
    stage = timed.stages.get(position=2)
    timed.stages.filter(pk=stage.pk).update(state=StageState.RUNNING)
    TrainingRound.objects.filter(pk=timed.pk).update(state=TaskState.RUNNING)
    record(timed.run_dir, ("stages", 1000, 1))
    record(stage.run_dir, ("training", 1022, 1))
    monkeypatch.setattr(timing.time, "time", lambda: 1052.0)
    times = times_of(TrainingRound.objects.get(pk=timed.pk))
    assert times.of_stage(stage.kind).work == 30
    assert times.wall == 52


def test_before_anything_ran_there_is_nothing_to_draw(round):
    assert times_of(round) is None
    assert timing_picture.drawn(None) is None


def test_the_speed_of_a_training_stage_is_that_of_its_training_alone(timed):
    stage = timed.stages.get(kind="reward_model")
    told = [(1, 9, 600, 100), (2, 7, 1800, 300)]
    names = ("step", "pairs", "num_tokens", "tokens_per_second")
    rows = [dict(zip(names, row, strict=True)) | {"loss": 0.6} for row in told]
    (stage.run_dir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stage.told = {"recipe": {"batch": 8}}
    # 9 + 7 pairs in 40 s; 600 tokens at 100 a second and 1,200 at 300 are 1,800 in 6 + 4 seconds.
    assert timing.of_stage(stage).speed == "0.4 pairs/s, 180 tokens/s"


def test_a_step_that_does_not_say_its_rows_has_the_recipes_batch(timed):
    stage = timed.stages.get(kind="reward_model")
    (stage.run_dir / "metrics.jsonl").write_text("".join(json.dumps({"step": i, "loss": 0.6}) + "\n" for i in (1, 2)))
    stage.told = {"recipe": {"batch": 8}}
    assert timing.of_stage(stage).speed == "0.4 pairs/s"  # 2 x 8 in 40 s


def test_the_speed_of_sampling_leaves_out_the_engines_start(timed):
    stage = timed.stages.get(kind="rejection_sampling")
    for name, tokens, seconds in (("sampling", 900, 2.0), ("sweep-1", 100, 2.0)):
        (stage.run_dir / name).mkdir(parents=True)
        result = {"output_tokens": tokens, "seconds": seconds, "engine_start_seconds": 30}
        (stage.run_dir / name / "result.json").write_text(json.dumps(result))
    assert timing.of_stage(stage).speed == "250 tokens/s sampled"


def test_the_bars_stand_on_one_axis_as_long_as_the_longest_stage(timed):
    drawn = timing_picture.drawn(times_of(timed))
    check, reward = drawn.bars[:2]
    assert reward.parts[-1].x + reward.parts[-1].width == drawn.width  # 50 s
    assert sum(each.width for each in check.parts) == pytest.approx(drawn.width / 5, abs=0.5)  # 10 s
    assert [each.kind for each in reward.parts] == ["starting", "loading", "work", "work", "keeping"]
    assert reward.description.startswith("reward model: work 42.0 s, starting Python and importing 4.0 s")


def test_an_axis_of_hours_is_told_in_hours():
    piece = timing.Piece("training", Kind.WORK, 1, 5 * 3600)
    times = timing.RoundTimes([timing.Times("dpo", "DPO", [piece])], wall=5 * 3600, waiting=0)
    assert [tick.label for tick in timing_picture.drawn(times).ticks] == ["0 h", "1 h", "2 h", "3 h", "4 h", "5 h"]


def test_the_page_shows_the_picture_its_figures_and_the_phases_of_the_stage(staff, timed):
    html = staff.get(page(timed), {"stage": "reward_model"}).content.decode()
    assert 'class="timing-ratio">1.45' in html
    assert 'aria-label="reward model: work 42.0 s' in html
    assert "registering the checkpoint" in html
    assert "Waiting for a worker, 10 s, is not counted." in html


def test_a_round_that_waits_says_that_nothing_has_run(staff, round):
    assert "Nothing has run yet" in part(staff, page(round), "round").content.decode()


def test_a_round_that_ran_before_times_were_recorded_says_so(staff, round):
    TrainingRound.objects.filter(pk=round.pk).update(state=TaskState.FINISHED)
    assert "Nothing is on record" in staff.get(page(round)).content.decode()


def test_the_interface_tells_the_same_figures(staff, timed):
    told = staff.get(reverse("training-api:round-detail", args=[timed.pk])).json()["timing"]
    assert (told["wall_seconds"], told["work_seconds"], told["waiting_seconds"]) == (68, 47, 10)
    reward = next(stage for stage in told["stages"] if stage["stage"] == "reward_model")
    assert reward["phases"][2] == {"phase": "training", "kind": "work", "seconds": 40}


def test_rounds_side_by_side_are_compared_by_it_too(timed):
    drawn = {each.title: each.rows for each in comparing.outcomes_of([timed, timed])}
    assert drawn["Time on the clock to pure work"][0].words == "1.45"


def test_odd_files_are_borne(staff, timed):
    for stage in timed.stages.all():
        stage.run_dir.mkdir(parents=True, exist_ok=True)
        (stage.run_dir / "timings.jsonl").write_text('{"at": 1e400, "phase": 3}\n[1]\n{"at": -1, "phase": "x"}\n\xff')
    assert staff.get(page(timed)).status_code == 200


def test_a_worker_records_the_times_of_a_whole_round(round):
    actions.execute_round(round=round)
    times = times_of(TrainingRound.objects.get(pk=round.pk))
    assert [row.kind for row in times.rows] == [*round.stages.values_list("kind", flat=True), ""]
    assert {piece.phase for piece in times.of_stage("dpo").pieces} >= {"starting Python", "registering the checkpoint"}
    phases = {piece.phase for piece in times.rows[-1].pieces}
    assert phases >= {"writing the data", "gate and model card", "between the stages"}
    # Nothing is counted twice: the stages lie within what the worker had.
    assert sum(times.of(kind) for kind in Kind) == pytest.approx(times.wall)


def test_a_stage_that_is_tried_again_has_two_attempts(round):
    order(round, sft="fail")
    actions.execute_round(round=round)
    order(round)
    actions.retry_round(round=round, enqueue=False)
    actions.execute_round(round=TrainingRound.objects.get(pk=round.pk))
    times = times_of(TrainingRound.objects.get(pk=round.pk))
    assert (times.of_stage("sft").attempts, times.of_stage("dpo").attempts) == (2, 1)
    assert times.waiting > 0
