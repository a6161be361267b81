import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured

from config import installation


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


def test_the_number_of_training_processes_is_a_number_of_gpus():
    assert installation.training_processes("4") == 4
    for wrong in ("0", "-1", "two", ""):
        with pytest.raises(ImproperlyConfigured, match="WHETSTONE_TRAINING_PROCESSES is"):
            installation.training_processes(wrong)
