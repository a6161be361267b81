"""The card of blind tests: who may see it and open one, and what it shows."""

import pytest
from django.urls import reverse

from tests.annotation.judged import judge
from training.evaluation.blind_tests import open_blind_test
from training.models import BlindTest


@pytest.fixture
def alice(alice, client):
    client.force_login(alice)
    return alice


@pytest.fixture
def card(evaluated):
    return reverse("training:blind_tests", args=[evaluated.pk])


@pytest.fixture
def opening(evaluated):
    return reverse("training:blind_test_open", args=[evaluated.pk])


def test_the_empty_card_offers_the_old_policy(client, alice, card):
    page = client.get(card).content.decode()
    assert "Let people compare it with policy-0" in page
    assert "<h1>Blind tests of r1</h1>" in page


def test_one_click_opens_the_test_and_shows_where_it_is_judged(client, alice, evaluated, card, opening):
    answer = client.post(opening, {"opponent": evaluated.base_policy.pk}, follow=True)
    test = BlindTest.objects.get()
    assert answer.redirect_chain == [(card, 302)]
    page = answer.content.decode()
    assert "r1-dpo against policy-0" in page
    assert "0 of 5 judgments" in page
    assert "1 prompt answered in the same words" in page
    assert reverse("annotation:members", args=[test.project.slug]) in page
    assert "Nobody has judged yet" in page
    assert "Let people compare" not in page


def test_a_script_gets_the_card_alone(client, alice, evaluated, opening):
    answer = client.post(opening, {"opponent": evaluated.base_policy.pk}, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "blind-test-opened" in answer.headers["HX-Trigger"]  # upon which the round's page hides its answers
    assert page.count('id="blind-tests"') == 1
    assert "<html" not in page


def test_the_second_half_of_a_double_click_shows_the_same_test(client, alice, evaluated, opening):
    for _ in range(2):
        assert client.post(opening, {"opponent": evaluated.base_policy.pk}).status_code == 302
    assert BlindTest.objects.count() == 1


def test_how_many_people_and_prompts_can_be_said(client, alice, evaluated, opening):
    client.post(opening, {"opponent": evaluated.base_policy.pk, "overlap": "3", "prompts": "2"})
    test = BlindTest.objects.get()
    assert test.project.overlap == 3
    assert test.sampling_runs.get().completions.count() == 4


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_what_cannot_be_opened_is_said_in_the_card(client, alice, evaluated, opening, headers):
    answer = client.post(opening, {"opponent": evaluated.policy.pk, "overlap": "0"}, headers=headers)
    assert answer.status_code == 422
    assert "HX-Trigger" not in answer.headers
    assert "Overlap: Ensure this value is greater than or equal to 1." in answer.content.decode()
    assert not BlindTest.objects.exists()


def test_a_torn_file_is_said_in_the_card(client, alice, evaluated, opening):
    (evaluated.stages.get().run_dir / "completions_new.jsonl").write_text("{}\n")
    answer = client.post(opening, {"opponent": evaluated.base_policy.pk})
    assert answer.status_code == 422
    assert "completions_new.jsonl of the evaluation cannot be read" in answer.content.decode()


def test_the_figures_are_asked_for_again_while_prompts_are_undecided(client, alice, evaluated, card):
    test = open_blind_test(round=evaluated, opponent=evaluated.base_policy, created_by=alice)
    headers = {"HX-Request": "true", "HX-Target": "blind-test-results"}
    part = client.get(card, headers=headers).content.decode()
    assert 'hx-trigger="every 10s"' in part
    assert "<h1>" not in part
    for comparison in test.project.comparisons.all():
        comparison.slots.all().delete()
        judge(comparison, "bob", [[0], [1]])
    part = client.get(card, headers=headers).content.decode()
    assert "hx-trigger" not in part
    assert "Preferred in" in part
    assert "5 of 5 judgments" in part


def test_a_round_without_an_evaluation_says_when_there_will_be_something(client, alice, evaluated, card):
    evaluated.stages.all().delete()
    assert "Once the evaluation has finished" in client.get(card).content.decode()


def test_names_are_shown_as_text(client, alice, evaluated, card):
    type(evaluated.base_policy).objects.filter(pk=evaluated.base_policy.pk).update(name="<b>old</b>")
    page = client.get(card).content.decode()
    assert "<b>old</b>" not in page
    assert "&lt;b&gt;old&lt;/b&gt;" in page


def test_only_staff_may_see_and_open(client, bob, evaluated, card, opening):
    assert client.get(card).status_code == 302
    client.force_login(bob)
    assert client.get(card).status_code == 403
    assert client.post(opening, {"opponent": evaluated.base_policy.pk}).status_code == 403
    assert not BlindTest.objects.exists()


def test_opening_is_posted_and_the_card_is_read(client, alice, card, opening):
    assert client.get(opening).status_code == 405
    assert client.post(card).status_code == 405


def test_the_run_that_holds_the_completions_has_a_page_as_any_other(client, alice, evaluated):
    test = open_blind_test(round=evaluated, opponent=evaluated.base_policy, created_by=alice)
    (run,) = test.sampling_runs.all()
    page = client.get(run.get_absolute_url())
    assert page.status_code == 200
    assert "Evaluation of r1" in page.content.decode()
