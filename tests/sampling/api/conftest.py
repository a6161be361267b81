import pytest

from tests.sampling.rest.conftest import Program


@pytest.fixture
def program(alice):
    return Program(alice)


@pytest.fixture
def strangers(bob):
    """Of Bob, who is not staff."""
    return Program(bob)
