"""Celery over the same PostgreSQL (pgmq), or over the broker that CELERY_BROKER_URL names."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("whetstone")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
