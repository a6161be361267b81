import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User

from config import installation


def test_the_secret_is_made_once_and_kept(tmp_path):
    made = installation.kept_secret(tmp_path / "var" / "secret_key")
    assert len(made) > 50
    assert installation.kept_secret(tmp_path / "var" / "secret_key") == made


def test_processes_that_start_together_agree_on_one_secret(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        seen = set(pool.map(lambda number: installation.kept_secret(tmp_path / "secret_key"), range(64)))
    assert len(seen) == 1
    assert seen.pop()
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_only_its_owner_reads_the_secret(tmp_path):
    installation.kept_secret(tmp_path / "secret_key")
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


@pytest.mark.django_db
def test_the_first_administrator_gets_a_password_made_for_this_installation():
    made = installation.first_administrator({})
    user = User.objects.get(username="admin")
    assert made.username == "admin"
    assert user.check_password(made.password)
    assert user.is_superuser
    assert user.is_staff


@pytest.mark.django_db
def test_a_password_from_the_environment_is_used_and_not_repeated():
    made = installation.first_administrator(
        {"WHETSTONE_ADMIN_USER": "alice", "WHETSTONE_ADMIN_PASSWORD": "correct horse"}
    )
    assert made == installation.SignIn(username="alice", password=None)
    assert User.objects.get(username="alice").check_password("correct horse")


@pytest.mark.django_db
def test_there_is_only_one_first_administrator():
    User.objects.create_superuser("alice", password="hers")
    assert installation.first_administrator({"WHETSTONE_ADMIN_PASSWORD": "other"}) is None
    assert User.objects.get().check_password("hers")
