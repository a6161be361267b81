"""Where people find the client: on the page of tokens, which it fits."""

import ast
import re

import pytest
from django.urls import reverse

from tests.client.client import FOLDER, whetstone

ADDRESS = "/tokens/whetstone.py"


def test_whoever_is_signed_in_gets_the_client(client, bob):
    client.force_login(bob)
    answer = client.get(ADDRESS)
    assert b"".join(answer.streaming_content) == (FOLDER / "whetstone.py").read_bytes()
    assert 'filename="whetstone.py"' in answer["Content-Disposition"]
    assert f'href="{ADDRESS}"' in client.get(reverse("sampling:api_tokens")).content.decode()


def test_nobody_else_does(client, db):
    assert client.get(ADDRESS).status_code == 302


def test_it_is_only_read(client, bob):
    client.force_login(bob)
    assert client.post(ADDRESS).status_code == 405


def test_it_needs_httpx_and_nothing_else():
    tree = ast.parse((FOLDER / "whetstone.py").read_text())
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    standard = {
        "__future__", "base64", "binascii", "collections.abc", "datetime", "hashlib", "hmac", "json", "os", "pathlib",
        "random", "time", "types", "typing", "urllib.parse", "uuid",
    }  # fmt: skip
    assert modules - standard == {"httpx"}


@pytest.mark.parametrize("name", ["README.md", "the_loop.ipynb"])
def test_what_is_written_about_it_names_what_there_is(monkeypatch, name):
    """Each ``site.resource.method`` and ``site.resource`` in the text."""
    monkeypatch.setenv("WHETSTONE_TOKEN", "wst_x")
    with whetstone.Whetstone() as site:
        for resource, method in re.findall(r"\bsite\.(\w+)\.(\w+)\(", (FOLDER / name).read_text()):
            assert callable(getattr(getattr(site, resource), method))


def test_its_readme_names_every_resource(monkeypatch):
    monkeypatch.setenv("WHETSTONE_TOKEN", "wst_x")
    text = (FOLDER / "README.md").read_text()
    with whetstone.Whetstone() as site:
        for name in vars(site):
            assert name.startswith("_") or f"`{name}`" in text
