"""A comparison that two annotators disagree on, and everybody who may look at it."""

import pytest

from annotation.models import (
    Flag,
    Membership,
    Role,
)
from tests.annotation.judged import judge, make_comparison, make_project, make_user


@pytest.fixture
def project():
    """Dora manages, Rita reviews, Bob annotates, Charlie has nothing to do with it."""
    project = make_project()
    for username, role in {"dora": Role.MANAGER, "rita": Role.REVIEWER, "bob": Role.ANNOTATOR}.items():
        Membership.objects.create(project=project, user=make_user(username), role=role)
    make_user("charlie")
    return project


@pytest.fixture
def comparison(project):
    """Bob and Eve disagree on it."""
    comparison = make_comparison(project, ["Fruit & <b>sugar</b>.", "A traffic jam."])
    judge(comparison, "bob", [[0], [1]], rationale="It is <i>food</i>.", seconds_spent=41.6)
    judge(comparison, "eve", [[1], [0]])
    return comparison


@pytest.fixture
def flag(comparison):
    return Flag.objects.create(comparison=comparison, raised_by=make_user("bob"), note="Which jam is <b>meant</b>?")
