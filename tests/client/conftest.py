"""The real site, in this process: its WSGI application answers, and what a worker would do is done in the pauses."""

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from annotation import actions as annotating
from annotation.actions import exports, freezes
from annotation.models import Role, SnapshotExport, SnapshotFreeze
from config.wsgi import application
from sampling.curation import actions as curation
from sampling.importing import actions as importing
from sampling.long_tasks import TaskState
from sampling.models import Curation, DataImport, SamplingRun, Scope
from sampling.rest.tokens import create_token
from tests.client.client import whetstone
from training.models import LaunchCheck, TrainingRound

URL = "http://whetstone.test"


@pytest.fixture
def connect(db, settings, tmp_path):
    """connect(user): the client of a program of theirs that may do everything that they may."""
    settings.VAR_DIR = tmp_path / "var"
    settings.ALLOWED_HOSTS = ["whetstone.test"]
    clients = []

    def connect(user):
        _, text = create_token(user=user, name="notebook", scopes=Scope.values, days=1)
        transport = httpx.WSGITransport(app=application)
        clients.append(whetstone.Whetstone(URL, text, transport=transport, sleep=lambda seconds: work()))
        return clients[-1]

    # As Django's own test client does: the requests run in the test's transaction, whose connection must stay.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield connect
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
    for client in clients:
        client.close()


@pytest.fixture
def site(connect, alice):
    """Of Alice, who is staff."""
    return connect(alice)


@pytest.fixture
def project(alice, bob):
    """Alice manages it, Bob is an annotator."""
    project = annotating.create_project(name="Capitals", overlap=1, created_by=alice, guidelines="Prefer *truth*.")
    annotating.add_member(project=project, user=bob, role=Role.ANNOTATOR)
    return project


def work() -> None:
    """Each queued task once. Sampling, checks and rounds need engines: those end here without having done anything."""
    for row in DataImport.objects.filter(state=TaskState.QUEUED):
        importing.execute(data_import=row)
    for row in Curation.objects.filter(state=TaskState.QUEUED):
        curation.execute(curation=row)
    for row in SnapshotFreeze.objects.filter(state=TaskState.QUEUED):
        freezes.execute_freeze(task=row)
    for row in SnapshotExport.objects.filter(state=TaskState.QUEUED):
        exports.execute_export(export=row)
    for rows in (SamplingRun.objects, LaunchCheck.objects, TrainingRound.objects):
        rows.filter(state=TaskState.QUEUED).update(state=TaskState.FINISHED)
