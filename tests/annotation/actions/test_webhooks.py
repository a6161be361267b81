import threading
import time
import uuid

import pytest
from django.db import connection, transaction

from annotation import actions
from annotation.models import Comparison, Role
from sampling.models import Delivery
from sampling.webhooks import actions as webhooks


@pytest.fixture(autouse=True)
def heard(db, monkeypatch):
    monkeypatch.setattr("sampling.tasks.deliver_webhooks.delay", lambda: None)
    return webhooks.create_webhook(url="https://example.org/", events=["comparison.completed"])


def answer(project, user):
    held = actions.claim_next(project=project, annotator=user)
    given = actions.Answer(ranking=[[pk] for pk in held.display_order])
    return held, actions.submit_judgment(assignment=held, annotator=user, answer=given, request_key=uuid.uuid4())


def test_a_comparison_is_completed_by_its_last_judgment_and_by_no_revision(project, comparison, bob, charlie):
    Comparison.objects.update(wanted=2)
    comparison.slots.create(project=project, number=2, free_from=comparison.created_at)
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    answer(project, bob)
    assert not Delivery.objects.exists()
    held, judgment = answer(project, charlie)
    told = Delivery.objects.get().payload
    assert told["type"] == "comparison.completed"
    assert told["data"] == {"project": project.slug, "comparison": comparison.pk, "judgment": judgment.pk}
    other = actions.Answer(ranking=[[pk] for pk in reversed(held.display_order)])
    actions.submit_judgment(assignment=held, annotator=charlie, answer=other, request_key=uuid.uuid4())
    assert Delivery.objects.count() == 1


def test_gold_is_told_to_nobody(project, comparison, bob):
    ids = list(comparison.completions.values_list("pk", flat=True))
    comparison.slots.all().delete()
    Comparison.objects.update(purpose="qualification", known_ranking=[[pk] for pk in ids])
    answer(project, bob)
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_last_judgments_at_once_one_tells(project, comparison, bob, charlie):
    Comparison.objects.update(wanted=2)
    comparison.slots.create(project=project, number=2, free_from=comparison.created_at)
    actions.add_member(project=project, user=charlie, role=Role.ANNOTATOR)
    held = {user: actions.claim_next(project=project, annotator=user) for user in (bob, charlie)}
    both = threading.Barrier(2)

    def submit(user):
        both.wait()
        given = actions.Answer(ranking=[[pk] for pk in held[user].display_order])
        with transaction.atomic():
            actions.submit_judgment(assignment=held[user], annotator=user, answer=given, request_key=uuid.uuid4())
            time.sleep(0.3)  # the other one comes to its condition meanwhile
        connection.close()

    threads = [threading.Thread(target=submit, args=[user]) for user in (bob, charlie)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Delivery.objects.count() == 1
