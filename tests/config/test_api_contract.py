"""The schema is true: whatever schemathesis makes of it is answered as it says, and never with a failure of ours."""

import io
import json
from datetime import timedelta
from uuid import uuid4

import hypothesis
import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from schemathesis.specs.openapi.checks import positive_data_acceptance

from annotation import actions as annotation
from annotation.actions import exports, withdrawals
from config.wsgi import application
from sampling.curation import actions as curation
from sampling.importing import actions as imports
from sampling.models import Completion, PromptSet, Scope
from sampling.rest.tokens import create_token
from sampling.webhooks import actions as webhooks
from tests.training import rounds

schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


TASKS = [
    "training.tasks.run_round", "training.tasks.run_check", "sampling.tasks.run_sampling",
    "sampling.tasks.deliver_webhooks", "sampling.tasks.run_import", "sampling.tasks.run_curation",
    "annotation.tasks.compute_report", "annotation.tasks.run_freeze", "annotation.tasks.run_export",
]  # fmt: skip


@pytest.fixture
def api(db, alice, tmp_path, settings, monkeypatch):
    """The headers of a program that may do everything, over a site with something on it."""
    for task in TASKS:
        monkeypatch.setattr(f"{task}.delay", lambda *told: None)
    settings.VAR_DIR = tmp_path
    policy = rounds.make_policy(tmp_path / "models" / "base")
    snapshot = rounds.make_snapshot()
    rounds.launch_for_tests("r1", policy, snapshot)
    a_little_of_everything(snapshot, alice)
    webhooks.ping(webhook=webhooks.create_webhook(url="https://example.org/", events=["round.finished"]))
    _, text = create_token(user=alice, name="contract", scopes=Scope.values, days=1)
    # As Django's own test client does: the requests run in the test's transaction, whose connection must stay.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield {"Authorization": f"Bearer {text}"}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def a_little_of_everything(snapshot, alice):
    """A row of each kind, so that what is asked of the first one is answered by one that there is."""
    project, completions = snapshot.project, Completion.objects.all()
    annotation.add_member(project=project, user=alice, role="manager")
    annotation.publish_guidelines(project=project, text="Prefer what is true.", by=alice)
    annotation.create_invitation(
        project=project, role="annotator", expires_at=timezone.now() + timedelta(days=1), request_key=uuid4(), by=alice
    )
    annotation.open_comparisons(project=project, completions=completions, k=2, by=alice)
    held = annotation.claim_next(project=project, annotator=alice)
    if held:
        annotation.raise_flag(assignment=held, annotator=alice, note="It is cut off.")
        annotation.skip(assignment=held, annotator=alice, reason="I cannot judge this")
    exports.request_export(snapshot=snapshot, rows="judgment", created_by=alice)
    withdrawals.withdraw_work(annotator=User.objects.create_user("carol"), reason="She asked for it.", by=alice)
    rows = [{"prompt": "Why?"}, {"prompt": 1}]
    lines = "\n".join(map(json.dumps, rows)).encode()
    imports.import_now(what="prompts", prompt_set_name="imported", upload=io.BytesIO(lines), created_by=alice)
    steps = [{"filter": "turns", "most": 4}]
    curation.save_filter_set(name="short ones", steps=steps, created_by=alice)
    curation.create_curation(prompt_set=PromptSet.objects.first(), steps=steps, created_by=alice)


@pytest.mark.slow
@schema.parametrize()
@hypothesis.settings(
    max_examples=20, derandomize=True, deadline=None, database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)  # fmt: skip
def test_every_answer_is_as_the_schema_says(api, case):
    # What refers to rows that there are not is refused with 400, which no schema can say.
    case.call_and_validate(headers=api, excluded_checks=[positive_data_acceptance])
