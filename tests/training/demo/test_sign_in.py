import pytest
from django.contrib.auth.models import User
from django.core.management.base import CommandError

from training.demo import loop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_folder(settings, tmp_path):
    settings.VAR_DIR = tmp_path


def test_the_sign_in_is_made_once_and_opens_the_site(client):
    name, password = loop.sign_in()
    assert loop.sign_in() == (name, password)
    assert client.login(username=name, password=password)
    assert User.objects.get(username=name).is_staff


def test_a_persons_own_account_of_that_name_is_left_alone():
    User.objects.create_user("demo", password="mine")
    with pytest.raises(CommandError, match="Rename it"):
        loop.sign_in()
    assert User.objects.get(username="demo").check_password("mine")
