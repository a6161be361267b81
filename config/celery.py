"""Celery over the same PostgreSQL (pgmq), or over the broker that CELERY_BROKER_URL names."""

import logging
import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning

# Said to every worker of root. Messages here are JSON, never pickle, and a container often has root only.
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("whetstone")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class NotPeriodic(logging.Filter):
    """Leaves out that a periodic task came and went well, twice each ten seconds; what it did, it says itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        routine = record.name in ("celery.worker.strategy", "celery.app.trace") and record.levelno <= logging.INFO
        said = record.getMessage()
        return not (routine and ("tasks.reap[" in said or "tasks.deliver_webhooks[" in said))
