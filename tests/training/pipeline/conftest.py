"""Tiny models for the stages' tests; built once, read by all."""

import pytest
import torch

from tests.tiny_models import save_tiny_policy, save_tiny_reward_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """A tiny model gains nothing from a second thread, and loses much where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def policy(tmp_path_factory):
    return save_tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="session")
def reward(tmp_path_factory):
    return save_tiny_reward_model(tmp_path_factory.mktemp("reward"))


@pytest.fixture
def in_32_bits(monkeypatch):
    """Compute in 32 bits even where bf16 is fast, so that numbers can be compared closely."""
    monkeypatch.setattr("training.pipeline.arguments.can_bf16", lambda: False)
    monkeypatch.setattr("training.pipeline.scoring.can_bf16", lambda: False)
