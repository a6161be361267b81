"""The message queue: pgmq in the same PostgreSQL, unless CELERY_BROKER_URL names another broker.

Messages are hints, rows are the truth (see sampling/long_tasks.py): nothing here has to be backed up.
"""

from typing import Any

from django.db import connections
from loguru import logger as loguru_logger
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

OWN_DATABASE = "pgmq://"  # without a host: the database of the product
INSTALL_LOCK = 0x77686574  # any number that nobody else uses as an advisory lock here

# The package logs each call with its parameters at DEBUG, to the console, by default.
loguru_logger.disable("pgmq")


def transport_options(broker_url: str, database: dict[str, Any]) -> dict[str, Any]:
    """Celery's broker_transport_options for ``broker_url``; ``database`` is Django's DATABASES entry."""
    if not broker_url.startswith("pgmq://"):
        return {}
    options = {
        "init_extension": False,  # the schema comes from install(): no extension on the server is needed
        "use_notify": True,  # a task starts some milliseconds after it was sent
        "polling_interval": 1.0,  # only for what NOTIFY missed
        "wait_time_seconds": 0,
        "pool_size": 4,
        # How long a message may wait in a busy worker before another one may have it. Not how long a task may
        # take: a message is deleted when its task begins.
        "visibility_timeout": 60,
    }
    if broker_url == OWN_DATABASE:
        options["conn_string"] = conn_string(database)
    return options


def conn_string(database: dict[str, Any]) -> str:
    """``database`` in the form that the pgmq package understands.

    It takes a key=value string apart and puts it together again without quoting, keeps only five keys, and takes an
    empty password for "postgres". So every value is quoted once more than is usual, and further options (sslmode)
    ride on the password.
    """
    names = {"host": "HOST", "port": "PORT", "dbname": "NAME", "user": "USER", "password": "PASSWORD"}
    told = {key: database.get(name) for key, name in names.items() if database.get(name)}
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    # Where a URL says "?host=/folder&sslmode=require", these are options; Django has some of its own among them.
    told |= {key: value for key, value in (database.get("OPTIONS") or {}).items() if key in known}
    told = {"host": "localhost", "port": "5432", "password": ""} | told
    quoted = {key: _quoted(value) for key, value in told.items()}
    own = {key: quoted.pop(key) for key in names if key in quoted}
    own["password"] = " ".join([own["password"], *(f"{key}={value}" for key, value in quoted.items())])
    return make_conninfo("", **own)


def _quoted(value: object) -> str:
    return "'" + str(value).replace("\\", r"\\").replace("'", r"\'") + "'"


def install(using: str = "default") -> bool:
    """Make the queue's schema in the product's database, once. Tells whether it was made now."""
    from pgmq.install import install_pgmq_from_sql

    connection = connections[using]
    with connection.cursor() as cursor:
        # Two starts at once: the second waits, and finds the schema. The installer is not made to run twice.
        cursor.execute("SELECT pg_advisory_lock(%s)", [INSTALL_LOCK])
        try:
            cursor.execute("SELECT to_regclass('pgmq.meta') IS NOT NULL")
            if cursor.fetchone()[0]:
                return False
            with connections[using].connection.transaction():
                install_pgmq_from_sql(conn=connection.connection)
            return True
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [INSTALL_LOCK])
