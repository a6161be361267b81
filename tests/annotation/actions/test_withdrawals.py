"""One annotator's work taken out of use, and back again."""

import pytest
from django.urls import reverse

from annotation.actions.withdrawals import WithdrawalRefused, restore_work, withdraw_work
from annotation.datasets import withdrawal_views
from annotation.datasets.chosen import available
from annotation.datasets.freezing import NothingToFreeze
from annotation.datasets.snapshots import choice_of, freeze_snapshot
from annotation.datasets.withdrawn import Withdrawn, _held_by, withdrawn_in
from annotation.models import DatasetSnapshot, Membership, ProjectChange, Role, WithdrawnWork
from sampling.models import ModelVersion
from tests.annotation.judged import judge, make_comparison, make_project, make_user
from training.models import Stage, TrainingRound

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    """Bob and Charlie judged one comparison, Bob another in another project, and Dora manages the first."""
    project = make_project()
    comparison = make_comparison(project, ["Yes.", "No."])
    judge(comparison, "bob", [[0], [1]])
    judge(comparison, "charlie", [[0], [1]])
    judge(make_comparison(make_project("Other"), ["Yes.", "No."]), "bob", [[0], [1]])
    Membership.objects.create(project=project, user=make_user("dora"), role=Role.MANAGER)
    make_user("alice", is_staff=True)
    return project


def frozen(project, name="june"):
    return freeze_snapshot(project=project, name=name, kinds=["person"])


def test_withdrawn_work_is_in_no_new_snapshot_and_marks_the_old_ones(project):
    june = frozen(project)
    withdraw_work(annotator=make_user("bob"), reason="He asked for it.", by=make_user("alice"))
    july = frozen(project, "july")
    assert (june.judgments.count(), july.judgments.count()) == (2, 1)
    assert withdrawn_in(june) == Withdrawn(annotators=1, judgments=1)
    assert not withdrawn_in(july)
    marked = DatasetSnapshot.objects.with_withdrawn().values_list("name", "has_withdrawn")
    assert dict(marked) == {"june": True, "july": False}
    assert july.counts["left_out"] == {"withdrawn_work": 1}


def test_every_project_has_it_on_record_and_so_is_taking_it_back(project):
    bob, alice = make_user("bob"), make_user("alice")
    withdraw_work(annotator=bob, reason="He asked for it.", by=alice)
    assert restore_work(annotator=bob, by=alice)
    assert not restore_work(annotator=bob, by=alice)
    changes = ProjectChange.objects.filter(project=project, what="withdrawn work").order_by("pk")
    assert [(each.subject, each.before, each.after, each.who) for each in changes] == [
        ("bob", None, {"reason": "He asked for it."}, alice),
        ("bob", {"reason": "He asked for it."}, None, alice),
    ]
    assert ProjectChange.objects.exclude(project=project).count() == 2
    assert available(choice_of(project, ["person"])).judgments == 2


def test_withdrawing_twice_keeps_the_first_reason(project):
    withdraw_work(annotator=make_user("bob"), reason="He asked for it.")
    assert withdraw_work(annotator=make_user("bob"), reason="Again.").reason == "He asked for it."
    assert ProjectChange.objects.filter(project=project).count() == 1


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001, "a\x00b"])
def test_a_reason_is_needed(project, reason):
    with pytest.raises(WithdrawalRefused):
        withdraw_work(annotator=make_user("bob"), reason=reason)
    assert not WithdrawnWork.objects.exists()


def test_nothing_left_says_that_it_was_withdrawn(project):
    for name in ("bob", "charlie"):
        withdraw_work(annotator=make_user(name), reason="Asked for.")
    with pytest.raises(NothingToFreeze, match="those of 2 were withdrawn"):
        frozen(project)


def test_the_page_says_what_it_marks_and_does_it(client, project):
    june = frozen(project)
    address = reverse("annotation:withdraw_work", args=[make_user("bob").pk])
    client.force_login(make_user("alice"))
    page = " ".join(client.get(address).content.decode().split())
    assert june.get_absolute_url() in page
    assert "(1 judgment)" in page
    assert client.post(address, {"do": "withdraw"}).status_code == 422
    back = project.get_absolute_url()
    assert client.post(address, {"do": "withdraw", "reason": "Asked for.", "next": back}).url == back
    assert WithdrawnWork.objects.get().by.username == "alice"
    assert "Restore their work" in client.get(address).content.decode()
    assert "holds withdrawn work" in client.get(reverse("annotation:snapshots", args=["demo"])).content.decode()
    page = " ".join(client.get(june.get_absolute_url()).content.decode().split())
    assert "1 of its judgments, by 1 annotator, has been withdrawn since" in page
    assert "Withdrawn since" not in page  # the dataset card is as it was frozen
    client.post(address, {"do": "restore", "next": "https://elsewhere.example/"})
    assert not WithdrawnWork.objects.exists()


def test_what_is_cut_short_is_said(client, project, monkeypatch):
    """Of two snapshots of Bob's one is shown; the version of the other one's round is there all the same."""
    base, version = (
        ModelVersion.objects.create(name=name, role="policy", location=f"/{name}") for name in ("base", "r1-dpo")
    )
    round = TrainingRound.objects.create(
        name="r1", base_policy=base, snapshot=frozen(project), recipe_name="smoke", recipe={}
    )
    Stage.objects.create(round=round, kind="dpo", position=0, model_version=version)
    frozen(project, "july")
    monkeypatch.setattr(withdrawal_views, "SHOWN", 1)
    client.force_login(make_user("alice"))
    page = client.get(reverse("annotation:withdraw_work", args=[make_user("bob").pk])).content.decode()
    assert "july</a>" in page
    assert "june</a>" not in page
    assert "and 1 older" in page
    assert "r1-dpo" in page


def test_how_much_is_withdrawn_is_looked_up_from_the_annotators_side(project):
    """The snapshot's list of judgments, which may be a million, is looked into once a withdrawn judgment."""
    june = frozen(project)
    withdraw_work(annotator=make_user("bob"), reason="Asked for.")
    plan = _held_by(june, [make_user("bob").pk]).explain()
    assert "SubPlan" in plan
    assert "Join" not in plan


def test_it_goes_nowhere_but_into_this_site(client, project):
    client.force_login(make_user("alice"))
    address = reverse("annotation:withdraw_work", args=[make_user("bob").pk])
    answer = {"do": "withdraw", "reason": "Asked for.", "next": "https://elsewhere.example/"}
    assert client.post(address, answer).url == address


@pytest.mark.parametrize("username", ["dora", "bob"])
def test_the_page_is_for_staff(client, project, username):
    client.force_login(make_user(username))
    address = reverse("annotation:withdraw_work", args=[make_user("bob").pk])
    assert client.get(address).status_code == 403
    assert client.post(address, {"do": "withdraw", "reason": "Asked for."}).status_code == 403
    assert client.delete(address).status_code in (403, 405)
