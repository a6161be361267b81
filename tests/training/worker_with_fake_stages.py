"""The product's Celery app, with fake stages and an impatient reaper.

celery -A tests.training.worker_with_fake_stages worker -Q accelerator,default
"""

from datetime import timedelta

import django

django.setup()

from config.celery import app  # noqa: E402
from sampling import long_tasks  # noqa: E402
from tests.training.rounds import fake_program  # noqa: E402
from training.running import round_plan  # noqa: E402

__all__ = ["app"]

round_plan.program_of = fake_program
long_tasks.LOST_AFTER = timedelta(seconds=4)  # two missed heartbeats instead of fifteen
