from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind
from sampling.models import Delivery
from sampling.webhooks import actions as webhooks
from tests.annotation.judged import judge, make_comparison, make_project


def test_webhooks_hear_of_a_snapshot(db, monkeypatch):
    monkeypatch.setattr("sampling.tasks.deliver_webhooks.delay", lambda: None)
    webhooks.create_webhook(url="https://example.org/", events=["snapshot.frozen"])
    project = make_project()
    judge(make_comparison(project, ["one", "two"]), "bob", [[0], [1]])
    frozen = freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
    told = Delivery.objects.get().payload
    assert told["type"] == "snapshot.frozen"
    assert told["data"] == {
        "id": frozen.pk, "name": "june", "project": "demo", "judgments": 1, "content_hash": frozen.content_hash,
    }  # fmt: skip
