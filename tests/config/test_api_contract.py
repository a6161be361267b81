"""The schema is true: whatever schemathesis makes of it is answered as it says, and never with a failure of ours."""

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from schemathesis.specs.openapi.checks import positive_data_acceptance

from config.wsgi import application
from sampling.models import Scope
from sampling.rest.tokens import create_token
from sampling.webhooks import actions as webhooks
from tests.training import rounds

schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


@pytest.fixture
def api(db, alice, tmp_path, settings, monkeypatch):
    """The headers of a program that may do everything, over a site with something on it."""
    for task in ("training.tasks.run_round", "training.tasks.run_check", "sampling.tasks.run_sampling",
                 "sampling.tasks.deliver_webhooks"):  # fmt: skip
        monkeypatch.setattr(f"{task}.delay", lambda *told: None)
    settings.VAR_DIR = tmp_path
    policy = rounds.make_policy(tmp_path / "models" / "base")
    rounds.launch_for_tests("r1", policy, rounds.make_snapshot())
    webhooks.ping(webhook=webhooks.create_webhook(url="https://example.org/", events=["round.finished"]))
    _, text = create_token(user=alice, name="contract", scopes=Scope.values, days=1)
    # As Django's own test client does: the requests run in the test's transaction, whose connection must stay.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield {"Authorization": f"Bearer {text}"}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.slow
@schema.parametrize()
@hypothesis.settings(
    max_examples=20, derandomize=True, deadline=None, database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)  # fmt: skip
def test_every_answer_is_as_the_schema_says(api, case):
    # What refers to rows that there are not is refused with 400, which no schema can say.
    case.call_and_validate(headers=api, excluded_checks=[positive_data_acceptance])
