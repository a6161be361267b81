"""manage.py run_round."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sampling.long_tasks import TaskState
from tests.training import checks, rounds
from training import actions
from training.launching.asked import BLANK
from training.launching.changes import whole
from training.management.commands.run_round import Command
from training.models import LaunchCheck, TrainingRound

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fake_stages")]


@pytest.fixture
def asked(policy, snapshot):
    return {"name": "r1", "base": "base", "snapshot": "june", "recipe": rounds.RECIPE}


def run(**asked) -> str:
    out = io.StringIO()
    call_command("run_round", stdout=out, **asked)
    return out.getvalue()


def test_it_says_in_one_line_what_it_did(asked):
    line = run(**asked)
    assert line.count("\n") == 1
    assert line.startswith('Round "r1" finished in ')
    assert "policy r1-dpo, win rate 70.0 % (60.0 to 80.0). Published: every condition holds." in line


def test_a_failed_stage_is_an_error_that_says_how_to_go_on(asked, monkeypatch):
    def launched_to_fail(**more):
        round = launch(**more)
        rounds.order(round, sft="fail")
        return round

    from training import actions

    launch = actions.launch_round
    monkeypatch.setattr(actions, "launch_round", launched_to_fail)
    with pytest.raises(CommandError, match=r"it needs 16.*run_round --name r1 --resume goes on"):
        run(**asked)
    rounds.order(TrainingRound.objects.get(), sft="")
    assert "finished" in run(name="r1", resume=True)


def test_ctrl_c_cancels_the_round(asked, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.running.execution.run_program", interrupted)
    with pytest.raises(CommandError, match="Cancelled"):
        run(**asked)
    assert TrainingRound.objects.get().state == TaskState.CANCELLED


def test_a_round_that_waits_or_lost_its_process_is_gone_on_with(round):
    assert "finished" in run(name="r1", resume=True)
    TrainingRound.objects.update(state=TaskState.RUNNING, finished_at=None, heartbeat_at=timezone.now())
    with pytest.raises(CommandError, match="its worker gives signs of life"):
        run(name="r1", resume=True)
    TrainingRound.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert "finished" in run(name="r1", resume=True)


def test_an_unknown_snapshot_is_answered_with_those_there_are(asked):
    with pytest.raises(CommandError, match=r'no snapshot "july".*june \(of Project of june\)'):
        run(**asked | {"snapshot": "july"})


def test_a_name_that_two_projects_use_asks_for_the_project(asked):
    rounds.make_snapshot("other")
    type(TrainingRound.snapshot.get_queryset().get(name="other")).objects.filter(name="other").update(name="june")
    with pytest.raises(CommandError, match="--project"):
        run(**asked)
    assert "finished" in run(**asked, project="project-of-other")


def test_what_a_form_would_refuse_the_shell_refuses(asked):
    with pytest.raises(CommandError, match='no recipe "nonesuch"'):
        run(**asked | {"recipe": "nonesuch"})


def test_help_has_an_example():
    help_text = Command().create_parser("manage.py", "run_round").format_help()
    assert "manage.py run_round --name r1 --base smollm2 --snapshot june --recipe demo" in help_text


# --- the check and the changes ------------------------------------------------------------------------------------


def checked(**asked) -> str:
    """What --check-only says."""
    told = io.StringIO()
    call_command("run_round", stderr=told, check_only=True, **asked)
    return told.getvalue()


def test_the_check_alone_prints_a_table_and_launches_nothing(asked, fake_check):
    told = checked(**asked)
    dpo = next(line for line in told.splitlines() if line.startswith("DPO"))
    assert dpo.split()[1:6] == ["14", "7", "5", "2", "="]  # rows, steps, warm-up, batch: as checked
    for words in (
        "stage ", "check of the data", "chat template: there", "left out, DPO: 2 too long",
        "Memory: about 2.0 GB, of 8.0 GB free.", "Warning: 2 conversations are longer than max_length.",
        "Conversations: median 12 tokens",
    ):  # fmt: skip
        assert words in told
    assert not TrainingRound.objects.exists()


def test_what_the_check_finds_refuses_the_round_in_the_same_words(asked, fake_check):
    checks.order("problems")
    with pytest.raises(CommandError, match=r"Only 3 pairs remain; DPO needs 16\. max_length is longer"):
        run(**asked)
    checks.order("crash")
    with pytest.raises(CommandError, match=r"could not be checked\. The program ended with exit code 7"):
        run(**asked)
    assert not TrainingRound.objects.exists()


def test_a_name_that_is_taken_is_told_before_the_check(asked, round):
    with pytest.raises(CommandError, match='There is a round "r1" already'):
        run(**asked)
    assert not LaunchCheck.objects.exists()


def test_values_are_set_with_or_without_quotes(asked):
    run(**asked, changes=["dpo.beta=0.2", "dpo.loss=ipo", 'dpo.least_strength="better"'])
    dpo = TrainingRound.objects.get().recipe["dpo"]
    assert (dpo["beta"], dpo["loss"], dpo["least_strength"]) == (0.2, "ipo", "better")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("dpo.bta=1", 'Did you mean "beta"'),
        ("dpo.beta", "write SECTION.KEY=VALUE"),
        ("dpo.beta=big", "must be a number"),
    ],
)
def test_a_wrong_change_is_an_error_with_the_remedy(asked, change, words):
    with pytest.raises(CommandError, match=words):
        run(**asked, changes=[change])


def test_the_next_round_of_a_schedule_goes_on_as_the_form_that_continues_one(asked):
    run(**asked | {"recipe": "smoke", "seed": 5}, changes=["dpo.beta=0.3", "sft.epochs=2"])
    run(name="r2", previous="r1", changes=["dpo.beta=0.4"])
    second = TrainingRound.objects.get(name="r2")
    assert (second.number, second.previous.name, second.base_policy.name) == (2, "r1", "r1-dpo")
    assert (second.snapshot.name, second.seed, second.recipe_name) == ("june", 5, "smoke")
    # What was changed in the first round stays changed, but for what is asked for now.
    assert (second.recipe["sft"]["epochs"], second.recipe["dpo"]["beta"]) == (2.0, 0.4)
    assert second.changes == {"dpo": {"beta": 0.4}, "sft": {"epochs": 2.0}}


@pytest.mark.parametrize("how", ["a file", "blank"])
def test_a_schedule_goes_on_without_the_file_that_it_began_with(asked, how, round):
    if how == "a file":
        run(**asked | {"name": "first"}, changes=["dpo.beta=0.3"])
    else:
        told = {key: value for key, value in round.schedule.items() if key not in ("name", "description", "warning")}
        actions.execute_round(
            round=actions.launch_round(
                name="first", base_policy=round.base_policy, snapshot=round.snapshot, recipe=BLANK, enqueue=False,
                changes=whole(told | {"dpo": told["dpo"] | {"beta": 0.3}}),
            )
        )  # fmt: skip
    run(name="second", previous="first")
    first, second = (TrainingRound.objects.get(name=name) for name in ("first", "second"))
    assert second.recipe["dpo"]["beta"] == 0.3
    assert second.schedule == first.schedule


def test_another_recipe_begins_without_the_changes_of_the_round_before(asked):
    run(**asked | {"recipe": "smoke"}, changes=["dpo.beta=0.3"])
    run(name="r2", previous="r1", recipe=rounds.RECIPE)
    assert TrainingRound.objects.get(name="r2").changes == {}


def test_a_disk_that_is_too_full_refuses_the_round_before_its_check(asked, fake_check, full_disk):
    with pytest.raises(CommandError, match=r"The disk is too full.*Free some space there"):
        run(**asked)
    assert not LaunchCheck.objects.exists()


def test_names_that_are_not_there_are_answered_with_those_there_are(asked, round):
    with pytest.raises(CommandError, match=r'no round "r7"\. There are: r1\.'):
        run(**asked | {"name": "r2"}, previous="r7")
    with pytest.raises(CommandError, match=r'no set of demonstrations "tulu"\. There are: none yet\.'):
        run(**asked | {"name": "r2"}, demonstrations="tulu")
