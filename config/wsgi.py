"""The WSGI entry point for the web server."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

# What was loaded so far stays for good: the collector need not look through it again and again while pages are made.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
