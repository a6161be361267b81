"""Make the message queue's schema; `manage.py serve` does it at each start."""

from django.conf import settings
from django.core.management.base import BaseCommand

from config import broker


class Command(BaseCommand):
    help = (
        "Make the message queue in the database, once. Needed where web and workers are started without "
        "`manage.py serve`. Example: manage.py migrate && manage.py install_broker"
    )

    def handle(self, *args, **options) -> None:
        if settings.CELERY_BROKER_URL != broker.OWN_DATABASE:
            self.stdout.write("Nothing to do: CELERY_BROKER_URL names a broker of your own.")
        elif broker.install():
            self.stdout.write("The message queue was made in the database.")
        else:
            self.stdout.write("The message queue is in the database already.")
