import pytest

from annotation import actions
from annotation.models import Role
from sampling.models import Scope
from tests.sampling.rest.conftest import Program


@pytest.fixture
def program(alice, project):
    """Of Alice, who is staff and manages the project."""
    return Program(alice)


@pytest.fixture
def bobs(bob, project):
    """Of Bob, an annotator of the project."""
    return Program(bob)


@pytest.fixture
def managers(charlie, project):
    """Of Charlie, who manages the project and is not staff."""
    actions.add_member(project=project, user=charlie, role=Role.MANAGER)
    return Program(charlie)


@pytest.fixture
def annotate_only(bob, project):
    return Program(bob, scopes=[Scope.ANNOTATE])
