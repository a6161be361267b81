"""The API of rounds."""

import base64
import json
import uuid
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind
from sampling.long_tasks import TaskState
from tests.training import checks, rounds
from tests.training.evaluation.evaluated import make_evaluated_on, make_prompts, said
from training import actions
from training.evaluation.blind_tests import open_blind_test
from training.models import TrainingRound

pytestmark = pytest.mark.django_db
ROUNDS, CHECK = reverse("training-api:round-list"), reverse("training-api:round-check")


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def announced():
    with patch("training.tasks.run_round.delay") as delay, patch("training.tasks.run_check.delay"):
        yield delay


@pytest.fixture
def given(policy, snapshot):
    return {"name": "r1", "base_policy": "base", "snapshot": "june", "recipe": "smoke"}


def post(client, url, content=None, **more):
    return client.post(url, json.dumps(content or {}), content_type="application/json", **more)


def of(round, name="round-detail") -> str:
    return reverse(f"training-api:{name}", args=[round.pk])


# --- who may ------------------------------------------------------------------------------------------------------


def test_who_says_nothing_of_himself_is_asked_to(client, round):
    for response in (
        client.get(ROUNDS),
        client.get(of(round)),
        post(client, CHECK),
        post(client, of(round, "round-cancel")),
    ):
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_it_is_for_staff(client, bob, round):
    client.force_login(bob)
    assert client.get(ROUNDS).status_code == 403
    assert post(client, ROUNDS, {}).status_code == 403
    assert post(client, of(round, "round-retry")).status_code == 403


def test_a_password_is_no_way_in(client, alice):
    sign_in = base64.b64encode(b"alice:alice's password").decode()
    assert client.get(ROUNDS, headers={"Authorization": f"Basic {sign_in}"}).status_code == 401


def test_a_session_needs_the_token_against_forged_requests(alice, given):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.get(ROUNDS).status_code == 200
    assert post(client, ROUNDS, given).status_code == 403


def test_other_methods_are_refused(staff, round):
    assert staff.delete(of(round)).status_code == 405
    assert staff.get(of(round, "round-cancel")).status_code == 405
    assert staff.get(CHECK).status_code == 405


# --- launching ----------------------------------------------------------------------------------------------------


def test_a_round_is_launched_by_names(staff, given, announced, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = post(staff, ROUNDS, given | {"changes": {"dpo": {"beta": 0.3}}, "seed": 5})
    round = TrainingRound.objects.get()
    assert response.status_code == 201
    assert response.headers["Location"] == response.json()["url"] == of(round)
    assert (round.seed, round.recipe["dpo"]["beta"], round.created_by.username) == (5, 0.3, "alice")
    announced.assert_called_once_with(round.pk)


def test_and_by_ids_with_changes_as_the_form_takes_them(staff, given, policy, snapshot):
    asked = given | {"base_policy": policy.pk, "snapshot": snapshot.pk, "changes": "dpo.beta = 0.3"}
    assert post(staff, ROUNDS, asked).json()["changes"] == {"dpo": {"beta": 0.3}}


def test_one_request_key_is_one_round(staff, given):
    asked = given | {"request_key": str(uuid.uuid4())}
    first = post(staff, ROUNDS, asked)
    again = post(staff, ROUNDS, asked)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert TrainingRound.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": ""}, "name", "may not be blank"),
        ({"name": "my/round 1"}, "name", "cannot be the name of a model"),
        ({"base_policy": "nobody"}, "base_policy", 'There is no policy "nobody". There are: '),
        ({"base_policy": True}, "base_policy", "Give the id or the name"),
        ({"base_policy": 2**70}, "base_policy", "There is no policy"),
        ({"snapshot": "july"}, "snapshot", "There are: june."),
        ({"recipe": "../secret"}, "recipe", 'There is no recipe "../secret".'),
        ({"changes": "dpo.bta = 1"}, "changes", 'Did you mean "beta"'),
        ({"changes": "dpo.bta = x"}, "changes", 'Line 1: text needs quotes, dpo.bta = "x".'),
        ({"changes": 3}, "changes", "Give an object by section"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"previous": "r0"}, "previous", 'There is no round "r0". There are: none yet.'),
        ({"request_key": "x"}, "request_key", "valid UUID"),
    ],
)
def test_what_is_wrong_is_told_by_field(staff, given, wrong, field, words):
    response = post(staff, ROUNDS, given | wrong)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert words in response.json()["errors"][field][0]


def test_it_refuses_in_the_words_of_the_form(staff, given, tmp_path):
    rounds.make_snapshot("small", train=1)
    (message,) = post(staff, ROUNDS, given | {"snapshot": "small"}).json()["errors"]["snapshot"]
    assert message.startswith('Snapshot "small" has 1 train pair by majority')


def test_what_is_no_json_is_told(staff):
    assert staff.post(ROUNDS, "{", content_type="application/json").status_code == 400
    assert staff.post(ROUNDS, {"name": "r1"}).status_code == 415


def test_a_round_that_continues_starts_from_what_the_one_before_made(staff, given, round, tmp_path):
    made = rounds.make_policy(tmp_path / "models" / "made", name="made")
    TrainingRound.objects.update(state=TaskState.FINISHED, policy=made)
    asked = {key: value for key, value in given.items() if key != "base_policy"} | {"name": "r2", "previous": "r1"}
    shown = post(staff, ROUNDS, asked).json()
    assert (shown["base_policy"], shown["number"], shown["previous"]) == ("made", 2, "r1")
    del asked["previous"]
    assert post(staff, ROUNDS, asked | {"name": "r3"}).json()["errors"] == {"base_policy": ["This field is required."]}


def test_and_has_its_recipe_with_the_changes_its_seed_and_the_newest_snapshot(staff, given, policy, snapshot):
    post(staff, ROUNDS, given | {"changes": {"dpo": {"beta": 0.3}}, "seed": 5})
    TrainingRound.objects.update(state=TaskState.FINISHED, policy=policy)
    newer = freeze_snapshot(project=snapshot.project, name="july", kinds=[JudgeKind.SIMULATED])
    told = {"name": "r2", "previous": "r1", "changes": {"sft": {"epochs": 3}}}
    shown = post(staff, ROUNDS, told).json()
    assert (shown["seed"], shown["snapshot"]["id"], shown["recipe"]) == (5, newer.pk, "smoke")
    assert shown["changes"] == {"dpo": {"beta": 0.3}, "sft": {"epochs": 3}}
    again = post(staff, ROUNDS, told | {"name": "r3", "recipe": "smoke", "snapshot": "june", "seed": 6}).json()
    assert (again["seed"], again["snapshot"]["id"], again["changes"]) == (6, snapshot.pk, {"sft": {"epochs": 3}})
    del told["previous"]
    assert set(post(staff, ROUNDS, told).json()["errors"]) == {"base_policy", "snapshot", "recipe"}


# --- looking and steering -----------------------------------------------------------------------------------------


def test_a_finished_round_is_shown_with_its_stages_results_and_gate(staff, round):
    actions.execute_round(round=round)
    shown = staff.get(of(round)).json()
    assert (shown["state"], shown["policy"], shown["is_published"]) == ("finished", "r1-dpo", True)
    assert [stage["kind"] for stage in shown["stages"]] == [stage.kind for stage in round.stages.order_by("position")]
    assert all(stage["state"] == "finished" and stage["result"] for stage in shown["stages"])
    assert shown["gate"]["passed"] is True
    (listed,) = staff.get(ROUNDS).json()["results"]
    for each in (shown, listed):
        assert (each["win_rate"], each["win_rate_low"], each["win_rate_high"]) == (0.7, 0.6, 0.8)


def test_who_overruled_the_gate_and_what_people_say_is_told_too(staff, snapshot, alice, tmp_path):
    evaluated = make_evaluated_on(make_prompts(6), tmp_path, snapshot)
    test = open_blind_test(round=evaluated, opponent=evaluated.base_policy, created_by=alice)
    TrainingRound.objects.update(overruled_by=alice, overruled_at=timezone.now(), overrule_reason="It is better.")
    for number, preferred in enumerate(["new", "new", "old"]):
        said(test, number, "bob", preferred)
    shown = staff.get(of(evaluated)).json()
    assert (shown["overruled_by"], shown["overrule_reason"]) == ("alice", "It is better.")
    assert shown["overruled_at"]
    (people,) = shown["people"]
    # Of six prompts both say the same to one, which is a tie, and two are not judged yet.
    counted = [people[key] for key in ("prompts", "judged", "alike", "wins", "ties", "losses")]
    assert counted == [6, 3, 1, 2, 1, 1]
    assert people["opponent"] == "policy-0"
    assert people["low"] < people["win_rate"] < people["high"]


def test_the_list_comes_in_pages_at_the_same_cost(staff, policy, snapshot, django_assert_max_num_queries):
    for number in range(3):
        rounds.launch_for_tests(f"r{number}", policy, snapshot)
    with django_assert_max_num_queries(6):
        shown = staff.get(ROUNDS).json()
    assert [each["name"] for each in shown["results"]] == ["r2", "r1", "r0"]
    page = staff.get(staff.get(ROUNDS, {"page_size": 2}).json()["next"]).json()
    assert (page["next"], [each["name"] for each in page["results"]]) == (None, ["r0"])


def test_a_round_that_is_not_there_is_told_in_json(staff):
    response = staff.get(reverse("training-api:round-detail", args=[0]))
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")


def test_cancelling_and_trying_again(staff, round):
    assert post(staff, of(round, "round-cancel")).json()["state"] == "cancelled"
    assert post(staff, of(round, "round-cancel")).status_code == 200
    assert post(staff, of(round, "round-retry")).json()["state"] == "queued"
    late = post(staff, of(round, "round-retry"))
    assert late.status_code == 409
    assert late.json()["detail"] == 'Round "r1" is queued; only what failed or was cancelled is retried.'


def test_what_has_ended_is_not_cancelled_and_the_reason_is_told(staff, round):
    actions.execute_round(round=round)
    refused = post(staff, of(round, "round-cancel"))
    assert refused.status_code == 409
    assert refused.json()["detail"] == 'Round "r1" is finished already; there is nothing to cancel.'
    assert "is finished; only what failed" in post(staff, of(round, "round-retry")).json()["detail"]


def test_a_retry_for_which_the_disk_is_too_full_is_refused(staff, round, full_disk):
    actions.cancel_round(round=round)
    refused = post(staff, of(round, "round-retry"))
    assert refused.status_code == 400
    assert "The disk is too full" in refused.json()["errors"]["recipe"][0]
    round.refresh_from_db()
    assert round.state == TaskState.CANCELLED


# --- the check ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fake_check")
def test_a_check_is_asked_for_until_it_has_found_something(staff, given):
    del given["name"]
    first = post(staff, CHECK, given)
    assert (first.status_code, first.json()["state"], first.json()["problems"]) == (202, "queued", {})
    checks.order("problems")
    actions.execute_check(check=checks.only_one())
    found = post(staff, CHECK, given)
    assert found.status_code == 200
    assert found.json()["problems"]["snapshot"] == ["Only 3 pairs remain; DPO needs 16."]
    assert found.json()["result"]["memory_bytes"] == 2_000_000_000
    refused = post(staff, ROUNDS, given | {"name": "r1"})
    assert (refused.status_code, refused.json()["errors"]) == (400, found.json()["problems"])
    assert post(staff, CHECK + "?again=1", given).status_code == 202


def test_a_check_says_at_once_what_the_round_would_take(staff, given, policy):
    told = post(staff, CHECK, given).json()["estimate"]
    assert next(iter(told["seconds_by_stage"])) == "check"
    assert told["seconds"] == pytest.approx(sum(told["seconds_by_stage"].values()))
    assert told["disk_bytes_while_training"] == 480_000  # 20,000 weights with their two moments in 32 bits, twice
    assert told["disk_free_bytes"] > told["disk_bytes"] > 0
    type(policy).objects.update(location="org/name")
    assert post(staff, CHECK, given).json()["estimate"] is None


def test_a_disk_that_is_too_full_refuses_the_check_and_the_launch(staff, given, full_disk):
    for url, asked in ((CHECK, given), (ROUNDS, given)):
        response = post(staff, url, asked)
        assert response.status_code == 400
        assert "The disk is too full" in response.json()["errors"]["recipe"][0]


def test_a_check_of_what_cannot_be_launched_says_so_at_once(staff, given):
    rounds.make_snapshot("small", train=1)
    assert "snapshot" in post(staff, CHECK, given | {"snapshot": "small"}).json()["errors"]
