"""What the tests of the queue begin with."""

import pytest

from annotation import actions
from annotation.actions import leases


@pytest.fixture
def opened(project, write):
    """opened(6): the six comparisons of the project."""

    def opened(count):
        actions.open_comparisons(project=project, completions=write(prompts=count), k=4)
        return list(project.comparisons.order_by("pk"))

    return opened


@pytest.fixture
def draws(monkeypatch):
    """draws(0.3): every draw for gold is 0.3."""
    return lambda value: monkeypatch.setattr(leases._draw, "random", lambda: value)
