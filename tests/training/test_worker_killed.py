"""A real worker on the real broker is killed, or asked to end, in the middle of a stage; the round finishes, once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection

from config import broker
from sampling import processes
from sampling.long_tasks import TaskState
from sampling.models import ModelVersion
from tests.training import rounds
from training.models import StageState, TrainingRound

ALL = rounds.ALL_STAGES

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def messages():
    """Sends to the queue that lies in the test database."""
    broker.install()
    app = Celery("tests", broker=broker.OWN_DATABASE, set_as_current=False)
    app.conf.broker_transport_options = broker.transport_options(broker.OWN_DATABASE, connection.settings_dict)
    app.conf.task_default_queue = settings.CELERY_TASK_DEFAULT_QUEUE
    app.conf.task_queues = settings.CELERY_TASK_QUEUES
    app.conf.task_routes = settings.CELERY_TASK_ROUTES

    def send(task: str, *args: int) -> None:
        with app.connection_for_write() as connected:  # closed each time: the test database is dropped at the end
            app.send_task(task, args=args, expires=30, connection=connected)

    return send


@pytest.fixture
def start_worker(tmp_path):
    workers = []

    def start() -> subprocess.Popen:
        workers.append(_worker(log=tmp_path / f"worker-{len(workers) + 1}.log"))
        return workers[-1]

    yield start
    for worker in workers:
        _kill(worker)
    for log in sorted(tmp_path.glob("worker-*.log")):
        print(f"--- {log.name}\n{log.read_text()}")


def _worker(*, log: Path) -> subprocess.Popen:
    database = connection.settings_dict
    where = f"{quote(str(database['HOST']), safe='')}:{database['PORT'] or 5432}"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"postgres://{database['USER']}@{where}/{database['NAME']}",
        "WHETSTONE_VAR": str(settings.VAR_DIR),
    }
    argv = [sys.executable, "-m", "celery", "-A", "tests.training.worker_with_fake_stages", "worker"]
    argv += ["-Q", "accelerator,default", "--pool", "threads", "--concurrency", "1", "--loglevel", "INFO"]
    with log.open("w") as output:
        return subprocess.Popen(
            argv,
            env=environment,
            cwd=settings.BASE_DIR,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _kill(worker: subprocess.Popen) -> None:
    """The worker and its pool, at once and without a word, as the kernel does it."""
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def _until(condition, *, seconds: float, every=lambda: None) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        every()
        time.sleep(0.5)


@pytest.mark.parametrize("kind", ALL)
def test_a_round_whose_worker_is_killed_is_finished_once_by_another(policy, snapshot, messages, start_worker, kind):
    round = rounds.launch_for_tests("r1", policy, snapshot)
    rounds.order(round, **{kind: "hang once"})
    until_then = ALL[: ALL.index(kind) + 1]

    def now() -> TrainingRound:
        return TrainingRound.objects.get(pk=round.pk)

    first = start_worker()
    messages("training.tasks.run_round", round.pk)
    _until(lambda: rounds.told(round, "started") == until_then, seconds=60)
    _until((round.stages.get(kind=kind).run_dir / "progress.json").exists, seconds=20)
    _kill(first)
    assert now().state == TaskState.RUNNING  # nobody is there to say that it is not

    start_worker()
    messages("training.tasks.run_round", round.pk)  # a message that comes twice

    _until(lambda: now().is_over, seconds=90, every=lambda: messages("training.tasks.reap"))
    done = now()
    assert (done.state, done.failure) == (TaskState.FINISHED, "")
    assert done.attempt == 2
    assert rounds.told(round, "started") == [*until_then, *ALL[ALL.index(kind) :]]
    assert rounds.told(round, "ended") == ALL
    assert {stage.state for stage in done.stages.all()} == {StageState.FINISHED}
    assert sorted(ModelVersion.objects.values_list("name", flat=True)) == [
        "base", "r1-dpo", "r1-judge", "r1-reward", "r1-sft", "tiny",
    ]  # fmt: skip
    assert done.policy.published_at is not None
    for stage in done.stages.all():
        assert not processes.stop_leftover(stage.run_dir), f"{stage.kind} left a process behind"


def test_a_worker_that_is_asked_to_end_hands_its_round_back_at_once(policy, snapshot, messages, start_worker):
    round = rounds.launch_for_tests("r1", policy, snapshot)
    rounds.order(round, sft="hang once")
    sft = round.stages.get(kind="sft")

    first = start_worker()  # announces what waits: nobody else has told it of the round
    _until((sft.run_dir / "progress.json").exists, seconds=60)
    os.killpg(first.pid, signal.SIGTERM)  # as the supervisor does

    assert first.wait(timeout=8) == 0  # the supervisor's patience
    round.refresh_from_db()
    sft.refresh_from_db()
    assert (round.state, round.attempt, round.failure) == (TaskState.QUEUED, 0, "")
    assert (sft.state, sft.attempts) == (StageState.PENDING, 0)
    assert not processes.stop_leftover(sft.run_dir), "the program outlived its worker"

    start_worker()
    _until(lambda: TrainingRound.objects.get(pk=round.pk).is_over, seconds=60)
    round.refresh_from_db()
    assert (round.state, round.attempt) == (TaskState.FINISHED, 1)
    assert rounds.told(round, "ended") == ALL
