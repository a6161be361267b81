"""manage.py run_round."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sampling.long_tasks import TaskState
from tests.training import rounds
from training.management.commands.run_round import Command
from training.models import TrainingRound

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
