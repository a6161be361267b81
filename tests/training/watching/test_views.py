"""The list of rounds, and one round live."""

import json
import re
from unittest.mock import patch

import pytest
from django.urls import reverse

from sampling.long_tasks import TaskState
from tests.training import rounds
from tests.training.watching import written
from tests.training.watching.conftest import page, part
from training import actions
from training.models import StageState

pytestmark = pytest.mark.django_db
ROUNDS, NEW = reverse("training:rounds"), reverse("training:round_new")


@pytest.fixture(autouse=True)
def announced():
    with patch("training.tasks.run_round.delay") as delay:
        yield delay


# --- who may see them ---------------------------------------------------------------------------------------------


def test_the_list_is_for_staff(client, bob):
    response = client.get(ROUNDS)
    assert (response.status_code, response.url) == (302, f"{reverse('login')}?next={ROUNDS}")
    client.force_login(bob)
    assert client.get(ROUNDS).status_code == 403


def test_a_rounds_pages_are_for_staff_and_answer_to_get_alone(client, bob, alice, round):
    for url in (page(round), page(round, "round_log", "dpo")):
        client.force_login(bob)
        assert client.get(url).status_code == 403
        client.force_login(alice)
        assert client.post(url).status_code == 405


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


def test_the_list_shows_where_a_round_stands_in_its_schedule(staff, launch):
    launch("b", previous=launch("a"))
    html = staff.get(ROUNDS).content.decode()
    assert re.search(r"round 2, after\s+<a[^>]*>a</a>", html)


def test_the_list_costs_as_many_queries_for_many_rounds_of_a_schedule_as_for_one(
    staff, launch, django_assert_max_num_queries
):
    previous = None
    for number in range(4):
        previous = launch(f"r{number}", previous=previous)
    with django_assert_max_num_queries(10):
        staff.get(ROUNDS)


# --- one round ----------------------------------------------------------------------------------------------------


def test_a_queued_round_shows_its_stages_and_asks_again(staff, round):
    html = staff.get(page(round)).content.decode()
    assert "Waiting for a worker" in html
    assert html.count("badge-pending") == round.stages.count()
    assert 'hx-trigger="every 2s"' in html


def test_a_finished_round_shows_what_came_out_and_asks_no_more(staff, round):
    actions.execute_round(round=round)
    html = staff.get(page(round)).content.decode()
    for words in (
        "70.0 % (60.0 to 80.0)",
        "every condition that the recipe asks holds.",
        "r1-dpo",
        "18 of 80 candidates",
    ):
        assert words in html
    assert 'hx-trigger="every 2s"' not in html
    assert 'hx-trigger="every 3s"' not in html
    assert "stage evaluate begins" in html  # what came out is what a reader wants first
    assert "Jam &lt;b&gt;is&lt;/b&gt;" in html  # what a model wrote is never markup


def test_a_stages_curves_and_log_are_shown_on_request(staff, round):
    actions.execute_round(round=round)
    html = staff.get(page(round), {"stage": "dpo"}).content.decode()
    assert "<polyline" in html
    assert "stage dpo begins" in html
    assert "<polyline" not in staff.get(page(round), {"stage": "evaluate"}).content.decode()


def test_a_page_needs_no_style_or_script_of_its_own(staff, whole, made):
    """The content security policy forbids both."""
    written.finish_round(whole, made())
    for url in (page(whole), *(f"{page(whole)}?stage={stage.kind}" for stage in whole.stages.all()), ROUNDS):
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


def test_a_failed_round_says_why(staff, round):
    rounds.order(round, sft="fail")
    actions.execute_round(round=round)
    html = staff.get(page(round)).content.decode()
    assert "SFT on what was kept failed: It has 3 rows; it needs 16. Add rows." in html


def test_a_check_that_found_problems_shows_them_and_what_it_measured(staff, whole):
    whole.take()
    check = whole.stages.get(kind="check")
    check.move_to(StageState.RUNNING)
    check.run_dir.mkdir(parents=True)
    found = written.RESULTS["check"] | {"problems": [{"field": "snapshot", "message": "Too few pairs. Collect more."}]}
    (check.run_dir / "check.json").write_text(json.dumps(found))
    check.move_to(StageState.FAILED, failure="Too few pairs. Collect more.")
    whole.end(TaskState.FAILED, failure="check of the data failed: Too few pairs. Collect more.")
    html = part(staff, page(whole), "stage").content.decode()
    assert "Too few pairs. Collect more." in html
    assert "<figcaption>Prompts" in html


# --- what came out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("check", ["12 of 40 eval prompts", "<figcaption>Prompts", "512 = 64 x 8", "14.0 GB free", "&lt;|im_end|&gt;"]),
        (
            "reward_model",
            ["significantly better", "90.0 % (74.0 to 100.0)", "the longer one wins", "it scores the"],
        ),
        (
            "rejection_sampling",
            [
                "Which temperature",
                "0.840",
                "37",
                "812",
                "Scores of all candidates",
                "Scores of those that were kept",
                "no candidate finished within 16 tokens",
                "Jam &lt;u&gt;0&lt;/u&gt;, 0.",
                "of an earlier round",
            ],
        ),
        (
            "evaluate",
            ["it selected", "for equal lengths", "Ratings of all versions", "84.0 / 55.0", "50% to 25%", "cut off"],
        ),
        ("harness", ["everyday", "accuracy", "0.520 ± 0.060", "-3.2", "20.10 to 21.40", "is the standard error of"]),
    ],
)
def test_each_stages_result_is_shown_in_words_and_pictures(staff, whole, made, kind, words):
    written.finish_round(whole, made())
    html = part(staff, f"{page(whole)}?stage={kind}", "stage").content.decode()
    html += part(staff, page(whole), "round").content.decode()
    for each in words:
        assert each in html


def test_curves_show_what_the_program_logs(staff, whole, made):
    written.finish_round(whole, made())
    html = part(staff, f"{page(whole)}?stage=dpo", "stage").content.decode()
    for title in ("Reward margin", "Log-probability", "KL to the start", "Lengths", "Learning rate", "Memory", "Speed"):
        assert f"<figcaption>{title}" in html.replace("\n", "")


def test_answers_now_stand_beside_those_before_and_move_on_with_the_stage(staff, whole):
    written.run_stages(whole, until="dpo")
    html = part(staff, page(whole), "stage").content.decode()
    assert "At step 0 I say" in html
    assert "At step 24 I say" in html
    assert "At step 12 I say" not in html
    assert "&lt;i&gt;fruit&lt;/i&gt;" in html
    assert f'hx-get="{page(whole)}"' in html


def test_a_step_that_was_chosen_stays_chosen_while_the_stage_goes_on(staff, whole):
    written.run_stages(whole, until="dpo")
    html = part(staff, f"{page(whole)}?stage=dpo&probe=12", "stage").content.decode()
    assert "At step 12 I say" in html
    assert f'hx-get="{page(whole)}?stage=dpo&amp;probe=12" hx-trigger="every 3s"' in html
    assert re.search(r'<a id="probe-12"[^>]*aria-current="true"', html)


def test_warnings_stand_on_the_page_with_what_to_do_about_them(staff, whole, made):
    written.finish_round(whole, made(), falls=0.5)
    html = part(staff, page(whole), "round").content.decode()
    for words in (
        "The chosen completions grow less likely",
        "since step",
        "nll_weight",
        "Only the model that selected",
    ):
        assert words in html


def test_rows_left_out_are_counted_by_stage_and_reason_and_lead_to_their_list(staff, whole):
    written.run_stages(whole, until="reward_model")
    html = part(staff, page(whole), "round").content.decode()
    expected = page(whole, "dropped", "check") + "?of=dpo&amp;reason=too_long"
    assert "expected" in html
    assert f'<a href="{expected}">20</a>' in html


def test_a_round_that_is_cloned_is_laid_beside_its_origin(staff, whole, launch):
    clone = launch("r2")
    clone.cloned_from = whole
    clone.save()
    html = staff.get(page(clone)).content.decode()
    assert f"{reverse('training:rounds_compared')}?round={whole.pk}&amp;round={clone.pk}" in html


def test_tensorboards_command_is_given(staff, whole, made):
    written.finish_round(whole, made())
    html = staff.get(page(whole)).content.decode()
    assert f'tensorboard --logdir "{whole.run_dir}"' in html


def test_a_round_of_before_these_results_is_shown_all_the_same(staff, round):
    round.take()
    for stage in round.stages.all():
        stage.move_to(StageState.RUNNING)
        stage.move_to(StageState.FINISHED, result={"seconds": 1.0})
    round.end(TaskState.FINISHED)
    for stage in round.stages.all():
        assert staff.get(f"{page(round)}?stage={stage.kind}").status_code == 200
