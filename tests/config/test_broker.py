import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dj_database_url
import psycopg
import pytest
from celery import Celery
from django.conf import settings
from django.db import connections
from pgmq.base import PGMQConfig
from psycopg.conninfo import conninfo_to_dict

from config import broker

ROOT = Path(__file__).parents[2]


def understood(database: dict) -> dict:
    """What the pgmq package's own connections are told in the end."""
    return conninfo_to_dict(PGMQConfig(conn_string=broker.conn_string(database)).dsn)


def test_the_queue_lives_in_the_products_database():
    database = {"HOST": "/some folder/it's", "PORT": "", "NAME": "whetstone", "USER": "alice", "PASSWORD": ""}
    assert understood(database) == {
        "host": "/some folder/it's",
        "port": "5432",
        "dbname": "whetstone",
        "user": "alice",
        "password": "",
    }


def test_odd_passwords_and_tls_arrive_unchanged():
    database = {
        "HOST": "db.example",
        "PORT": 6543,
        "NAME": "w",
        "USER": "bob",
        "PASSWORD": r"p@ss 'word' \ =x",
        "OPTIONS": {"sslmode": "verify-full", "sslrootcert": "/etc/my ca.pem", "pool": True},
    }
    told = understood(database)
    assert told["password"] == database["PASSWORD"]
    assert (told["host"], told["port"]) == ("db.example", "6543")
    assert (told["sslmode"], told["sslrootcert"]) == ("verify-full", "/etc/my ca.pem")
    assert "pool" not in told


def test_a_socket_named_in_the_urls_options_is_found():
    database = dj_database_url.parse("postgres://alice@/w?host=/run/pg&application_name=whetstone")
    told = understood(database)
    assert (told["host"], told["user"], told["dbname"]) == ("/run/pg", "alice", "w")
    assert told["application_name"] == "whetstone"


def test_another_broker_gets_no_options_of_this_one():
    assert broker.transport_options("redis://cache:6379/0", {}) == {}
    elsewhere = broker.transport_options("pgmq://alice:secret@db.example/queues", settings.DATABASES["default"])
    assert "conn_string" not in elsewhere


@pytest.fixture
def database(django_db_setup, worker_id):
    """An empty database of the test server, and Django's entry for it. Its name says whose it is."""
    entry = connections["default"].settings_dict | {"NAME": f"broker_{worker_id}_{os.getpid()}"}
    server = {"host": entry["HOST"], "user": entry["USER"], "dbname": "postgres", "autocommit": True}
    with psycopg.connect(**server) as connection:
        connection.execute(f'CREATE DATABASE "{entry["NAME"]}"')
    yield entry
    with psycopg.connect(**server) as connection:
        connection.execute(f'DROP DATABASE "{entry["NAME"]}" WITH (FORCE)')


@pytest.fixture
def worker_id(request) -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture
def url(database) -> str:
    return f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}"


def manage(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": url},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_starts_at_the_same_time_make_the_queue_once(url):
    with ThreadPoolExecutor(3) as pool:
        said = sorted(pool.map(lambda number: manage(url, "install_broker"), range(3)))
    assert said == ["The message queue is in the database already.\n"] * 2 + [
        "The message queue was made in the database.\n"
    ]


def test_a_task_is_run_by_the_worker_of_its_queue_and_by_no_other(url, database, tmp_path):
    manage(url, "install_broker")
    app = Celery(broker=broker.OWN_DATABASE, set_as_current=False)
    app.conf.broker_transport_options = broker.transport_options(broker.OWN_DATABASE, database)
    app.conf.task_queues = settings.CELERY_TASK_QUEUES
    for queue in ("default", "accelerator"):
        app.send_task("tests.config.probe.touch", args=[str(tmp_path / queue)], queue=queue)
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "--app", "config", "--quiet", "worker", "--queues", "accelerator"),
            *("--pool", "threads", "--concurrency", "1", "--hostname", "accelerator@test"),
            *("--include", "tests.config.probe", "--without-gossip", "--without-mingle"),
        ],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": url},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "accelerator").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)  # what it must not take, it would have taken by now
    finally:
        worker.kill()
        worker.wait()
        app.pool.force_close_all()
    assert (tmp_path / "accelerator").read_text() == "accelerator@test"
    assert not (tmp_path / "default").exists()


def test_long_tasks_go_to_the_accelerator_and_reapers_come_every_ten_seconds():
    from config.celery import app

    app.loader.import_default_modules()
    for name in ("sampling.tasks.run_sampling", "training.tasks.run_round"):
        assert name in app.tasks
        assert app.amqp.router.route({}, name)["queue"].name == "accelerator"
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
        assert app.amqp.router.route({}, entry["task"])["queue"].name == "default"
        assert entry["schedule"] == (3600.0 if entry["task"].endswith("forget_old") else 10.0)
