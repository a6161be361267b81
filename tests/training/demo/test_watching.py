import pytest
from django.core.management.base import CommandError

from sampling.long_tasks import TaskState
from sampling.models import PromptSet, SamplingRun
from training.demo import watching


@pytest.fixture
def run(db, monkeypatch):
    monkeypatch.setattr(watching, "POLL_SECONDS", 0)
    return SamplingRun.objects.create(name="first", prompt_set=PromptSet.objects.create(name="june"))


def as_it_goes(run, steps):
    """A label that moves the row a step each time it is asked, as a worker would meanwhile."""
    remaining = iter(steps)

    def label(task):
        phase = task.phase
        if step := next(remaining, None):
            SamplingRun.objects.filter(pk=run.pk).update(**step)
        return phase

    return label


def test_watching_ends_with_the_task_and_each_counting_phase_leaves_a_bar(run, capsys):
    steps = [
        {"state": TaskState.RUNNING, "phase": "starting the engine", "total": 8},
        {},
        {"phase": "sampling", "done": 2},
        {"done": 5},
        {"done": 8, "state": TaskState.FINISHED},
    ]
    doubled = [step for step in steps for _ in (0, 1)]  # the label is asked twice a look, when it changes
    watching.watch(run, label=as_it_goes(run, doubled))
    shown = capsys.readouterr().err
    assert "starting the engine" in shown
    assert "8/8" in shown


def test_a_phase_keeps_its_bar_and_so_its_clock(run, monkeypatch):
    made = []
    bar = watching.tqdm
    monkeypatch.setattr(watching, "tqdm", lambda **kwargs: made.append(kwargs["desc"]) or bar(**kwargs))
    SamplingRun.objects.filter(pk=run.pk).update(state=TaskState.RUNNING, phase="sampling", total=3)
    watching.watch(run, label=as_it_goes(run, [{"done": 1}, {"done": 2}, {"done": 3}, {"state": TaskState.FINISHED}]))
    assert made == ["sampling"]


def test_a_failure_is_told_in_the_tasks_own_words(run, capsys):
    run.state, run.failure = TaskState.FAILED, "The disk is full. Free 2 GB."
    run.save()
    with pytest.raises(CommandError, match="The disk is full"):
        watching.watch(run, label=lambda task: task.phase)
