"""The product's settings, on the bundled PostgreSQL in a folder of the tests' own."""

import os
import tempfile

# Before anything else: a test must never see the data of an installation. One folder, and so one server, for a whole
# run: xdist's workers, and programs that tests start, inherit the name. tests/conftest.py removes it at the end.
if "WHETSTONE_TESTS_FOLDER" not in os.environ:
    os.environ["WHETSTONE_TESTS_FOLDER"] = tempfile.mkdtemp(prefix="whetstone-tests-")
    os.chmod(os.environ["WHETSTONE_TESTS_FOLDER"], 0o711)  # PostgreSQL may run as another user
os.environ["WHETSTONE_VAR"] = os.environ["WHETSTONE_TESTS_FOLDER"]
os.environ["WHETSTONE_POSTGRES_OPTIONS"] = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
OF_AN_INSTALLATION = "DATABASE_URL CELERY_BROKER_URL SECRET_KEY DEBUG VLLM_URLS WHETSTONE_DEVICE"
BEHIND_A_PROXY = "HTTPS_ONLY ALLOWED_HOSTS CSRF_TRUSTED_ORIGINS"
for name in f"{OF_AN_INSTALLATION} {BEHIND_A_PROXY}".split():
    os.environ.pop(name, None)

from config.settings import *  # noqa: E402, F403
from config.settings import STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # sign-in in a millisecond
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_AUTOREFRESH = True
