"""What webhooks hear of rounds."""

import pytest

from sampling.actions import register_model
from sampling.models import Delivery
from sampling.webhooks import actions as webhooks
from tests.training import rounds
from training import actions


@pytest.fixture(autouse=True)
def heard(db, monkeypatch):
    monkeypatch.setattr("sampling.tasks.deliver_webhooks.delay", lambda: None)
    return webhooks.create_webhook(url="https://example.org/", events=["round.finished", "policy.published"])


def told() -> dict[str, dict]:
    return {delivery.payload["type"]: delivery.payload["data"] for delivery in Delivery.objects.order_by("created_at")}


def test_a_round_that_finishes_tells_of_its_policy_too(round):
    actions.execute_round(round=round)
    said = told()
    assert said["round.finished"] == {
        "id": round.pk, "name": "r1", "state": "finished", "failure": "", "policy": "r1-dpo", "gate_passed": True,
    }  # fmt: skip
    assert said["policy.published"]["name"] == "r1-dpo"


def test_a_policy_that_somebody_registers_is_told_of_once(tmp_path):
    made = rounds.make_policy(tmp_path / "base")
    Delivery.objects.all().delete()
    type(made).objects.all().delete()
    for _ in range(2):
        register_model(name="base", location=made.location)
    assert Delivery.objects.get().payload["data"]["name"] == "base"
