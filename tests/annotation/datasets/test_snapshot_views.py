"""The snapshot pages and the shell commands beside them."""

import uuid
from html import unescape

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import DatasetSnapshot, JudgeKind, Membership, Role
from tests.annotation.judged import judge, known, make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def exports_in_a_folder_of_their_own(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def project():
    """Alice is staff, Dora manages the project, Bob annotates it, Charlie has nothing to do with it."""
    project = make_project()
    Membership.objects.create(project=project, user=make_user("bob"), role=Role.ANNOTATOR)
    Membership.objects.create(project=project, user=make_user("dora"), role=Role.MANAGER)
    make_user("alice", is_staff=True)
    make_user("charlie")
    return project


@pytest.fixture
def judged(project):
    comparison = make_comparison(project, ["Fruit & <b>sugar</b>.", "A traffic jam."])
    judge(comparison, "bob", [[0], [1]], ["significantly_better"])
    judge(comparison, "sim-brief", [[1], [0]], kind=JudgeKind.SIMULATED)
    return project


@pytest.fixture
def snapshot(judged):
    return freeze_snapshot(project=judged, name="june", kinds=["person"])


def asked(**more):
    """What the form sends when nothing but its first two fields was touched."""
    return {
        "name": "june", "kinds": ["person"], "agreement": 50, "min_strength": "negligibly_better",
        "one_row_per": "judgment", "aggregation": "majority", "request_key": uuid.uuid4(),
    } | more  # fmt: skip


def as_(client, username):
    client.force_login(make_user(username))
    return client


def addresses(snapshot):
    slug = snapshot.project.slug
    return [
        reverse("annotation:snapshots", args=[slug]),
        reverse("annotation:snapshot_new", args=[slug]),
        reverse("annotation:snapshot", args=[snapshot.pk]),
    ]


@pytest.mark.parametrize("username", ["alice", "dora"])
def test_staff_and_the_projects_managers_see_every_page(client, snapshot, username):
    for address in addresses(snapshot):
        response = as_(client, username).get(address)
        assert response.status_code == 200
        assert response.getvalue()  # a file is closed when it was read


@pytest.mark.parametrize("username", ["bob", "charlie"])
def test_annotators_and_others_see_none(client, snapshot, username):
    for address in addresses(snapshot):
        assert as_(client, username).get(address).status_code == 403


def test_the_anonymous_are_sent_to_the_sign_in_page(client, snapshot):
    for address in addresses(snapshot):
        assert client.get(address).url.startswith(reverse("login"))


def test_only_the_form_may_be_posted_to(client, snapshot):
    for address in [each for each in addresses(snapshot) if not each.endswith("new/")]:
        assert as_(client, "dora").post(address).status_code == 405
    assert as_(client, "dora").delete(reverse("annotation:snapshot_new", args=["demo"])).status_code == 405


def test_a_project_without_snapshots_says_what_one_is_for(client, project):
    page = as_(client, "dora").get(reverse("annotation:snapshots", args=["demo"])).content.decode()
    assert "No snapshot yet" in page
    assert reverse("annotation:snapshot_new", args=["demo"]) in page


def test_the_list_shows_counts_and_kinds(client, snapshot):
    page = as_(client, "dora").get(reverse("annotation:snapshots", args=["demo"])).content.decode()
    assert reverse("annotation:snapshot", args=[snapshot.pk]) in page
    assert ">person</td>" in page


def test_freezing_from_the_form(client, judged):
    key = uuid.uuid4()
    answer = asked(request_key=key)
    address = reverse("annotation:snapshot_new", args=["demo"])
    response = as_(client, "dora").post(address, answer)
    snapshot = DatasetSnapshot.objects.get()
    assert response.url == snapshot.get_absolute_url()
    assert (snapshot.request_key, snapshot.created_by.username, snapshot.kinds) == (key, "dora", ["person"])
    assert client.post(address, answer).url == snapshot.get_absolute_url()  # a double click
    assert DatasetSnapshot.objects.count() == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"name": "june", "kinds": ["person"]}, "already has a snapshot"),
        ({"name": "july", "kinds": ["model"]}, "has no judgment by a model judge"),
        ({"name": "july", "kinds": []}, "Choose at least one kind of judge."),
        ({"name": "in july", "kinds": ["person"]}, "Enter a valid"),
    ],
)
def test_what_cannot_be_frozen_is_said_beside_the_field(client, snapshot, answer, words):
    address = reverse("annotation:snapshot_new", args=["demo"])
    response = as_(client, "dora").post(address, asked(**answer))
    assert response.status_code == 422
    field = "kinds" if "judge" in words else "name"
    assert words in str(response.context["form"].errors[field])
    assert words in response.content.decode().replace("&quot;", '"')
    assert DatasetSnapshot.objects.count() == 1


def test_the_form_proposes_people_and_shows_every_kind(client, judged):
    response = as_(client, "dora").get(reverse("annotation:snapshot_new", args=["demo"]))
    page = response.content.decode()
    assert response.context["form"]["kinds"].initial == ["person"]
    assert "person (1)" in page
    assert "simulated annotator (1)" in page
    assert "<strong>1 judgment</strong>" in page


def test_the_preview_alone_counts_what_is_ticked(client, judged):
    response = as_(client, "dora").get(
        reverse("annotation:snapshot_new", args=["demo"]),
        {"kinds": ["person", "simulated"]},
        headers={"HX-Request": "true"},
    )
    page = response.content.decode().strip()
    assert page.startswith('<section id="snapshot-preview"')
    assert "<html" not in page
    assert "<strong>2 judgments</strong>" in page


def test_the_preview_of_nothing_says_so(client, judged):
    address = reverse("annotation:snapshot_new", args=["demo"])
    fetch = as_(client, "dora").get
    headers = {"HX-Request": "true"}
    assert "Choose at least one kind" in fetch(address, headers=headers).content.decode()
    assert "no judgment by a model judge" in fetch(address, {"kinds": "model"}, headers=headers).content.decode()


def test_the_page_of_a_snapshot_shows_hash_counts_and_rows_escaped(client, snapshot):
    page = as_(client, "dora").get(snapshot.get_absolute_url()).content.decode()
    assert snapshot.content_hash in page
    assert "Fruit &amp; &lt;b&gt;sugar&lt;/b&gt;." in page
    assert "significantly_better" in page
    assert "None yet." in page


def test_the_page_shows_the_rounds_that_used_it(client, snapshot):
    from sampling.models import ModelVersion
    from training.models import TrainingRound

    base = ModelVersion.objects.get(name="tiny")
    TrainingRound.objects.create(name="round one", snapshot=snapshot, base_policy=base, recipe_name="demo", recipe={})
    page = as_(client, "alice").get(snapshot.get_absolute_url()).content.decode()
    assert "round one" in page
    assert TrainingRound.objects.get().get_absolute_url() in page
    assert (
        TrainingRound.objects.get().get_absolute_url()
        not in as_(client, "dora").get(snapshot.get_absolute_url()).content.decode()
    )  # a page for staff


def test_unknown_rows_are_not_found(client, snapshot):
    assert as_(client, "dora").get(snapshot.get_absolute_url(), {"rows": "votes"}).status_code == 404


def test_freezing_and_exporting_from_the_shell(judged, tmp_path, capsys):
    call_command("freeze_snapshot", project="demo", name="june", kinds=["simulated"])
    assert (
        'Frozen "june": 1 judgments (simulated) of 1 comparisons, 1 train and 0 eval pairs' in capsys.readouterr().out
    )
    call_command("export_snapshot", "june", project="demo", into=tmp_path / "out", rows="majority")
    assert f'Exported "june" to {tmp_path}/out: 1 train rows, 0 eval rows, 2 files' in capsys.readouterr().out
    assert (tmp_path / "out/train.jsonl").exists()


def test_the_shell_says_what_there_is_when_a_name_is_wrong(judged, tmp_path):
    with pytest.raises(CommandError, match=r'no project "damo"\. Projects: demo\.'):
        call_command("freeze_snapshot", project="damo", name="june", kinds=["person"])
    with pytest.raises(CommandError, match=r'has no snapshot "june"\. Snapshots: none'):
        call_command("export_snapshot", "june", project="demo", into=tmp_path / "out")
    with pytest.raises(CommandError, match="no judgment by a model judge"):
        call_command("freeze_snapshot", project="demo", name="june", kinds=["model"])


@pytest.mark.parametrize("command", ["open_comparisons", "freeze_snapshot", "export_snapshot", "simulate_annotators"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert f"example:\n  manage.py {command} " in capsys.readouterr().out


def test_a_snapshot_that_was_changed_by_hand_says_so_instead_of_failing(client, snapshot):
    comparison = snapshot.judgments.get().comparison
    comparison.completions.first().delete()
    as_(client, "dora")
    page = client.get(snapshot.get_absolute_url()).content.decode()
    assert page.count("was deleted from the database by hand") == 1
    assert snapshot.content_hash in page


def test_the_page_says_who_decided_who_wrote_and_what_is_left_out(client, judged):
    decided = make_comparison(judged, ["Yes.", "No."])
    judge(decided, "bob", [[0], [1]])
    judge(decided, "rita", [[2], [1], [0]], edit="Yes, it is.", is_decision=True, all_bad=True)
    judge(known(make_comparison(judged, ["Yes.", "No."])), "bob", [[0], [1]])
    unsafe = make_comparison(judged, ["So.", "No."])
    judge(unsafe, "bob", [[0], [1]], marks={0: {"safety": "unsafe"}, 1: {"safety": "safe"}})
    frozen = freeze_snapshot(project=judged, name="june", kinds=["person"])
    page = " ".join(as_(client, "dora").get(frozen.get_absolute_url()).content.decode().split())
    assert "1 comparison, where the decision alone counts; 1 judgment there stays on record only" in page
    assert "1 better answer" in page
    assert "1 judgment of gold comparisons" in page
    assert "1 pair of single judgments dropped, as Llama 2 did" in page
    assert '<span class="badge">decision</span>' in page
    assert '<span class="badge">by a person</span>' in page


def test_the_preview_says_what_a_decision_does_and_what_is_left_out(client, judged):
    judge(make_comparison(judged, ["Yes.", "No."]), "rita", [[0], [1]], is_decision=True)
    judge(known(make_comparison(judged, ["Yes.", "No."])), "bob", [[0], [1]])
    response = as_(client, "dora").get(reverse("annotation:snapshot_new", args=["demo"]))
    page = " ".join(unescape(response.content.decode()).split())
    assert "1 of them is a reviewer's decision; where there is one, the newest counts alone." in page
    assert "Left out: 1 judgment of gold comparisons." in page
