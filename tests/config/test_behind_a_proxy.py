"""Signing in at a site whose TLS ends at a proxy, seen from a fresh process with that environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import installation

# The account and its session are kept out of it: what is asked is whether the form is taken at all.
SIGN_IN = """
import importlib, os, sys
import tests.settings
os.environ.update(ALLOWED_HOSTS="whetstone.example.org", HTTPS_ONLY="1")
import config.settings
importlib.reload(config.settings)
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
from django.test import Client, override_settings
django.setup()
static = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
          "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
with override_settings(STORAGES=static):
    client = Client(enforce_csrf_checks=True)
    for host, scheme in (("whetstone.example.org", "https"), ("127.0.0.1:8000", "http")):
        said = {"host": host, "x-forwarded-proto": scheme}
        page = client.get("/sign-in/", headers=said)
        form = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value, "username": "", "password": ""}
        origin = sys.argv[1] if scheme == "https" else f"http://{host}"
        sent = client.post("/sign-in/", form, headers=said | {"origin": origin})
        print(page.status_code, sent.status_code)
"""


@pytest.mark.parametrize(
    ("origin", "answer"), [("https://whetstone.example.org", 200), ("https://elsewhere.example.org", 403)]
)
def test_the_sign_in_form_is_taken_from_the_sites_own_address_only(origin, answer):
    done = subprocess.run(
        [sys.executable, "-c", SIGN_IN, origin],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    # An empty form that is taken comes back with its errors (200); this machine itself is always answered.
    assert done.stdout.splitlines()[-2:] == [f"200 {answer}", "200 200"]


def test_allowed_hosts_are_trusted_over_https_unless_origins_are_named():
    hosts = ["a.example.org", ".b.example.org", "*"]
    assert installation.trusted_origins("", hosts, True) == ["https://a.example.org", "https://*.b.example.org"]
    assert installation.trusted_origins("", hosts, False) == []
    assert installation.trusted_origins("https://c:8443", hosts, True) == ["https://c:8443"]
