"""The whole of a text that is too long for the page."""

import uuid

import pytest
from django.urls import reverse

from annotation import actions
from annotation.rendering.markdown import SHOWN_CHARACTERS

LONG = "<script>alert(1)</script>\n" + "word " * SHOWN_CHARACTERS
QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Pay\u202elive?"}]


@pytest.fixture
def held(project, write, bob):
    actions.open_comparisons(project=project, completions=write([LONG, "Short."], messages=QUESTION), k=2)
    return actions.claim_next(project=project, annotator=bob)


def address(held, part):
    return reverse("annotation:text", args=[held.pk, part])


def letter_of(held, text):
    return "AB"[list(held.display_order).index(held.comparison.completions.get(text=text).pk)]


def test_a_completion_is_all_there_as_nothing_but_text(client, held, bob):
    client.force_login(bob)
    response = client.get(address(held, letter_of(held, LONG)))
    assert response.content.decode() == LONG
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]
    assert "policy-0" not in str(response.headers)


def test_a_turn_of_the_conversation_is_named_by_its_number_and_spells_out_what_deceives(client, held, bob):
    client.force_login(bob)
    assert client.get(address(held, "1")).content.decode() == "Be brief."
    assert client.get(address(held, "2")).content.decode() == "Pay[U+202E]live?"


@pytest.mark.parametrize("part", ["C", "0", "3", "a", "A-B"])
def test_there_is_nothing_else(client, held, bob, part):
    client.force_login(bob)
    assert client.get(address(held, part)).status_code == 404


def test_what_somebody_else_holds_is_not_found(client, held, alice, charlie):
    for user in (alice, charlie):
        client.force_login(user)
        assert client.get(address(held, "A")).status_code == 404


def test_the_anonymous_sign_in_and_nobody_may_post(client, held, bob):
    assert client.get(address(held, "A")).url.startswith(reverse("login"))
    client.force_login(bob)
    assert client.post(address(held, "A")).status_code == 405


def test_the_feedback_on_a_training_item_leads_to_the_whole_of_a_long_text(client, held, bob):
    ids = sorted(held.display_order)
    type(held.comparison).objects.update(purpose="training", known_ranking=[[pk] for pk in ids])
    type(held).objects.update(purpose="training", slot=None)
    client.force_login(bob)
    sent = {"rank_A": 1, "rank_B": 2, "strength_1": "better", "request_key": uuid.uuid4()}
    html = client.post(reverse("annotation:submit", args=[held.pk]), sent, follow=True).content.decode()
    assert "as in the known answer" in html or "as the known answer" in html
    assert "more characters, as plain text" in html
    assert "more characters are not shown here" in html
    assert address(held, letter_of(held, LONG)) in html
