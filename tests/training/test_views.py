"""The pages of rounds."""

import json
import re
import uuid
from unittest.mock import patch

import pytest
from django.urls import reverse

from sampling.long_tasks import TaskState
from tests.training import rounds
from training import actions
from training.models import StageState, TrainingRound

pytestmark = pytest.mark.django_db
ROUNDS, NEW, ESTIMATE = (reverse(f"training:{name}") for name in ("rounds", "round_new", "estimate"))


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def announced():
    with patch("training.tasks.run_round.delay") as delay:
        yield delay


@pytest.fixture
def smoke_form(policy, snapshot):
    return {
        "name": "r1",
        "base_policy": policy.pk,
        "snapshot": snapshot.pk,
        "recipe": "smoke",
        "seed": 17,
        "request_key": str(uuid.uuid4()),
    }


def page(round, name="round", *args) -> str:
    return reverse(f"training:{name}", args=[round.pk, *args])


def part(client, url: str, target: str):
    return client.get(url, headers={"HX-Request": "true", "HX-Target": target})


# --- who may see them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [ROUNDS, NEW, ESTIMATE])
def test_the_pages_are_for_staff(client, bob, url):
    response = client.get(url)
    assert (response.status_code, response.url) == (302, f"{reverse('login')}?next={url}")
    client.force_login(bob)
    assert client.get(url).status_code == 403


def test_a_rounds_pages_and_buttons_are_for_staff(client, bob, round):
    client.force_login(bob)
    assert client.get(page(round)).status_code == 403
    assert client.get(page(round, "round_log", "dpo")).status_code == 403
    assert client.post(page(round, "round_cancel")).status_code == 403
    assert client.post(page(round, "round_retry")).status_code == 403
    assert client.post(NEW).status_code == 403


def test_the_buttons_answer_to_post_alone(staff, round):
    assert staff.get(page(round, "round_cancel")).status_code == 405
    assert staff.get(page(round, "round_retry")).status_code == 405
    assert staff.post(page(round)).status_code == 405
    assert staff.post(ROUNDS).status_code == 405


# --- the list -----------------------------------------------------------------------------------------------------


def test_the_empty_list_says_what_is_missing(staff):
    html = staff.get(ROUNDS).content.decode()
    assert "No round yet" in html
    assert "there is not one of each yet" in html


def test_the_empty_list_invites_once_there_is_what_a_round_needs(staff, policy, snapshot):
    assert f'href="{NEW}"' in staff.get(ROUNDS).content.decode()


def test_the_list_shows_each_round_with_its_state_and_win_rate(staff, round):
    actions.execute_round(round=round)
    html = staff.get(ROUNDS).content.decode()
    assert page(round) in html
    assert "70.0 % (60.0 to 80.0)" in html
    assert "badge-published" in html


def test_the_list_costs_as_many_queries_for_three_rounds_as_for_one(
    staff, policy, snapshot, django_assert_max_num_queries
):
    for number in range(3):
        rounds.launch_for_tests(f"r{number}", policy, snapshot)
    with django_assert_max_num_queries(10):
        staff.get(ROUNDS)


# --- the form -----------------------------------------------------------------------------------------------------


def test_the_form_offers_a_free_name_and_the_recipes_with_what_they_cost(staff, policy, snapshot):
    html = staff.get(NEW).content.decode()
    assert 'value="round-1"' in html
    assert "What it costs" in html
    assert "(16 train pairs)" in html


def test_the_form_launches_one_round_however_often_it_is_sent(staff, smoke_form, announced):
    first = staff.post(NEW, smoke_form)
    assert staff.post(NEW, smoke_form).url == first.url
    round = TrainingRound.objects.get()
    assert first.url == page(round)
    assert round.created_by.username == "alice"


def test_what_is_wrong_stands_beside_its_field(staff, smoke_form, round):
    response = staff.post(NEW, smoke_form)
    assert response.status_code == 422
    assert response.context["form"].errors == {"name": ['There is a round "r1" already. Choose another name.']}


def test_a_field_left_empty_is_told_of(staff, smoke_form):
    response = staff.post(NEW, smoke_form | {"name": "", "seed": "many"})
    assert set(response.context["form"].errors) == {"name", "seed"}
    assert not TrainingRound.objects.exists()


def test_asking_for_the_cost_launches_nothing(staff, smoke_form):
    response = staff.post(NEW, smoke_form | {"check": "1"})
    assert response.status_code == 200
    assert not TrainingRound.objects.exists()
    assert 'value="r1"' in response.content.decode()


def test_a_link_with_a_snapshot_has_it_chosen(staff, policy, snapshot):
    other = rounds.make_snapshot("july")
    html = staff.get(NEW, {"snapshot": snapshot.pk}).content.decode()
    assert re.search(rf'<option value="{snapshot.pk}" selected', html)
    assert not re.search(rf'<option value="{other.pk}" selected', html)


def test_an_estimate_names_every_stage_the_pairs_and_the_disk(staff, smoke_form):
    html = staff.get(ESTIMATE, smoke_form).content.decode()
    assert html.count('id="estimate"') == 1
    assert "<html" not in html
    for words in ("reward model", "rejection sampling", "DPO", "evaluation", "free", "[dpo]"):
        assert words in html


@pytest.mark.parametrize("field", ["base_policy", "snapshot", "recipe"])
@pytest.mark.parametrize("value", ["", "nonesuch", "999999", "../../secret"])
def test_an_estimate_of_nonsense_is_an_answer_all_the_same(staff, smoke_form, field, value):
    response = staff.get(ESTIMATE, smoke_form | {field: value})
    assert response.status_code == 200
    assert "notice" in response.content.decode()


# --- one round ----------------------------------------------------------------------------------------------------


def test_a_queued_round_shows_its_stages_and_asks_again(staff, round):
    html = staff.get(page(round)).content.decode()
    assert "Waiting for a worker" in html
    assert html.count("badge-pending") == 5
    assert 'hx-trigger="every 2s"' in html


def test_a_finished_round_shows_what_came_out_and_asks_no_more(staff, round):
    actions.execute_round(round=round)
    html = staff.get(page(round)).content.decode()
    for words in ("70.0 % (60.0 to 80.0)", "Published: every condition holds.", "r1-dpo", "18 of 80 candidates"):
        assert words in html
    assert "hx-trigger" not in html
    assert "stage dpo begins" in html  # the newest stage with curves, since an evaluation has none
    assert "<polyline" in html
    assert "<polyline" not in staff.get(page(round), {"stage": "evaluate"}).content.decode()
    assert "Jam &lt;b&gt;is&lt;/b&gt;" in html  # what a model wrote is never markup


def test_a_stages_curves_and_log_are_shown_on_request(staff, round):
    actions.execute_round(round=round)
    html = staff.get(page(round), {"stage": "dpo"}).content.decode()
    assert "<polyline" in html
    assert "stage dpo begins" in html


def test_a_page_needs_no_style_or_script_of_its_own(staff, round):
    """The content security policy forbids both."""
    actions.execute_round(round=round)
    for url in (page(round), page(round) + "?stage=dpo", NEW, ROUNDS):
        html = staff.get(url).content.decode()
        assert " style=" not in html
        assert not re.search(r"<script(?![^>]*\bsrc=)", html)


def test_the_live_parts_come_alone(staff, round):
    for target in ("round", "stage"):
        html = part(staff, page(round), target).content.decode()
        assert f'id="{target}"' in html
        assert "<html" not in html


def test_a_running_stage_shows_its_progress(staff, round):
    round.take()
    stage = round.stages.get(kind="reward_model")
    stage.move_to(StageState.RUNNING, started_at=round.started_at)
    stage.run_dir.mkdir(parents=True)
    told = {"done": 3, "total": 12, "unit": "steps", "phase": "training"}
    (stage.run_dir / "progress.json").write_text(json.dumps(told))
    html = part(staff, page(round), "round").content.decode()
    assert "training, 3 of 12 steps" in html
    assert re.search(r'max="12"\s+value="3"', html)


def test_a_stage_that_the_round_has_not_is_not_found(staff, round):
    assert staff.get(page(round), {"stage": "nonesuch"}).status_code == 404
    assert staff.get(page(round, "round_log", "nonesuch")).status_code == 404


def test_the_log_is_a_page_and_a_live_part(staff, round):
    actions.execute_round(round=round)
    url = page(round, "round_log", "dpo")
    assert "stage dpo begins" in staff.get(url).content.decode()
    html = part(staff, url, "log").content.decode()
    assert "stage dpo begins" in html
    assert "<html" not in html


def test_cancelling_and_trying_again(staff, round):
    assert staff.post(page(round, "round_cancel")).url == page(round)
    round.refresh_from_db()
    assert round.state == TaskState.CANCELLED
    assert "Retry from the first unfinished stage" in staff.get(page(round)).content.decode()
    staff.post(page(round, "round_retry"))
    staff.post(page(round, "round_retry"))  # a double click
    round.refresh_from_db()
    assert round.state == TaskState.QUEUED


def test_a_failed_round_says_why(staff, round):
    rounds.order(round, sft="fail")
    actions.execute_round(round=round)
    html = staff.get(page(round)).content.decode()
    assert "SFT on what was kept failed: It has 3 rows; it needs 16. Add rows." in html
