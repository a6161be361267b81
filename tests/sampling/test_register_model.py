"""A registered model is one that can be used, and a name stands for the same weights for ever."""

import hashlib

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from sampling import actions
from sampling.checkpoints import ModelNotUsable
from sampling.models import ModelVersion
from tests.sampling.conftest import make_checkpoint

pytestmark = pytest.mark.django_db


def test_a_directory_is_registered_with_the_hash_of_its_weights(tmp_path):
    directory = make_checkpoint(tmp_path / "model", weights=b"abc")
    (directory / "another.safetensors").write_bytes(b"first by name")

    version = actions.register_model(name="one", location=str(directory))

    assert version.location == str(directory)
    assert version.content_hash == hashlib.sha256(b"first by name" + b"abc").hexdigest()
    assert version.published_at is not None


def test_a_hub_id_is_taken_as_it_is():
    version = actions.register_model(name="hub", location="org/some-model")
    assert (version.location, version.content_hash) == ("org/some-model", "")


def test_registering_the_same_again_gives_the_same_version(tmp_path):
    directory = str(make_checkpoint(tmp_path / "model"))
    first = actions.register_model(name="one", location=directory)
    assert actions.register_model(name="one", location=directory) == first
    assert ModelVersion.objects.count() == 1


def test_a_name_never_stands_for_other_weights(tmp_path):
    actions.register_model(name="one", location=str(make_checkpoint(tmp_path / "a", weights=b"a")))
    with pytest.raises(ValidationError, match='The name "one" belongs to policy at'):
        actions.register_model(name="one", location=str(make_checkpoint(tmp_path / "b", weights=b"b")))


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(ModelNotUsable, match="There is no directory"):
        actions.register_model(name="one", location=str(tmp_path / "nowhere"))


def test_a_mistyped_directory_is_not_taken_for_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_checkpoint(tmp_path / "checkpoints" / "mine")
    with pytest.raises(ModelNotUsable, match="There is no directory"):
        actions.register_model(name="one", location="checkpoints/mien")


def test_pickled_weights_are_refused(tmp_path):
    directory = make_checkpoint(tmp_path / "model")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(ModelNotUsable, match="Pickled weights"):
        actions.register_model(name="one", location=str(directory))


def test_a_directory_without_config_is_refused(tmp_path):
    directory = make_checkpoint(tmp_path / "model")
    (directory / "config.json").unlink()
    with pytest.raises(ModelNotUsable, match=r"no config\.json"):
        actions.register_model(name="one", location=str(directory))


def test_a_reward_model_is_no_policy(tmp_path):
    directory = make_checkpoint(tmp_path / "rm", architectures=["LlamaForSequenceClassification"])
    with pytest.raises(ModelNotUsable, match="is a reward model"):
        actions.register_model(name="rm", location=str(directory))
    assert actions.register_model(name="rm", location=str(directory), role="reward").published_at is None


def test_a_policy_can_be_registered_unpublished_with_its_parent(tmp_path, policy):
    directory = make_checkpoint(tmp_path / "child", weights=b"child")
    child = actions.register_model(name="child", location=str(directory), parent=policy, publish=False)
    assert child.parent == policy
    assert not ModelVersion.objects.published().filter(pk=child.pk).exists()


def test_progress_counts_the_bytes_of_the_weights(tmp_path):
    seen = []
    directory = make_checkpoint(tmp_path / "model", weights=b"x" * (3 << 20))
    actions.register_model(name="one", location=str(directory), on_progress=lambda *now: seen.append(now))
    assert seen[-1] == (3 << 20, 3 << 20)


def test_the_database_refuses_a_published_reward_model():
    with pytest.raises(IntegrityError, match="only_a_policy_is_published"), transaction.atomic():
        ModelVersion.objects.create(name="rm", role="reward", location="a/b", published_at=timezone.now())
