"""The pages of known answers: making one, changing one, turning one back to work."""

import pytest
from django.urls import reverse

from annotation.models import (
    Purpose,
)
from tests.annotation.judged import judge, known
from tests.annotation.review.reading import as_, read

pytestmark = pytest.mark.django_db


def answer(**more):
    return {"purpose": "gold", "rank_A": "1", "rank_B": "2", "explanation": "Jam is food.", **more}


def test_a_manager_makes_gold_of_a_comparison(client, comparison):
    address = reverse("annotation:known_answer", args=[comparison.pk])
    assert as_(client, "dora").post(address, answer()).url == reverse("annotation:known_answers", args=["demo"])
    comparison.refresh_from_db()
    assert (comparison.purpose, comparison.explanation) == (Purpose.GOLD, "Jam is food.")
    assert len(comparison.known_ranking) == 2
    page = read(client, "dora", "known_answers", "demo")
    assert "A &gt; B" in page
    assert "50&nbsp;%" in page  # Bob or Eve


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"rank_B": ""}, "Give B a place"),
        ({"purpose": "work"}, "Select a valid choice"),
        ({"rank_B": "3"}, "Select a valid choice"),
    ],
)
def test_a_known_answer_that_is_none_is_refused_beside_its_field(client, comparison, sent, words):
    response = as_(client, "dora").post(reverse("annotation:known_answer", args=[comparison.pk]), answer(**sent))
    assert response.status_code == 422
    assert words in response.content.decode()


def test_ties_are_refused_where_the_project_has_none(client, comparison):
    comparison.project.allow_ties = False
    comparison.project.save()
    response = as_(client, "dora").post(reverse("annotation:known_answer", args=[comparison.pk]), answer(rank_B="1"))
    assert "has no ties" in response.content.decode()


def test_the_form_begins_with_the_decision_else_with_what_most_said(client, comparison):
    def first_place(**query):
        address = reverse("annotation:known_answer", args=[comparison.pk])
        form = as_(client, "dora").get(address, query).context["form"]
        letters = {letter: pk for pk, letter in form.letters.items()}
        return [letters[letter] for letter in "AB" if form.initial[f"rank_{letter}"] == 1]

    first, second = comparison.completions.order_by("index").values_list("pk", flat=True)
    assert sorted(first_place()) == [first, second]  # one against one: a tie is proposed
    judge(comparison, "dora", [[1], [0]])
    assert first_place(**{"from": "mine"}) == [second]
    judge(comparison, "rita", [[0], [1]], is_decision=True)
    assert first_place() == [first]
    assert first_place(**{"from": "most"}) == [second]
    known(comparison)
    assert first_place(**{"from": "nonsense"}) == [first]


def test_a_withdrawn_comparison_makes_no_gold_and_the_form_says_so(client, comparison):
    as_(client, "dora").post(
        reverse("annotation:comparison_withdraw", args=[comparison.pk]), {"do": "withdraw", "reason": "x"}
    )
    response = client.post(reverse("annotation:known_answer", args=[comparison.pk]), answer())
    assert response.status_code == 422
    assert "Restore it before" in response.content.decode()


def test_turning_back_to_work_asks_first(client, comparison):
    known(comparison)
    address = reverse("annotation:back_to_work", args=[comparison.pk])
    assert "Turn it back" in as_(client, "dora").get(address).content.decode()
    comparison.refresh_from_db()
    assert comparison.purpose == Purpose.GOLD
    client.post(address)
    comparison.refresh_from_db()
    assert comparison.purpose == Purpose.WORK
    assert client.get(address).status_code == 302  # nothing to turn back any more


def test_without_known_answers_the_page_says_how_to_begin(client, project):
    assert "Make 10 to 20" in read(client, "dora", "known_answers", "demo")


def test_gold_that_is_never_handed_out_is_said(client, comparison):
    known(comparison)
    assert "none is handed out" in read(client, "dora", "known_answers", "demo")
    comparison.project.gold_percent = 5
    comparison.project.save()
    assert "none is handed out" not in read(client, "dora", "known_answers", "demo")


def test_a_doubtful_known_answer_is_pointed_at(client, comparison):
    known(comparison)
    for name in ("x", "y", "z"):
        judge(comparison, name, [[1], [0]])
    assert "Most annotators disagree with the known answer" in read(client, "dora", "known_answers", "demo")
