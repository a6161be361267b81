"""The pages of review: who may open them, and what their buttons do."""

import pytest
from django.urls import reverse

from annotation.models import (
    Assignment,
    AssignmentState,
    Comparison,
    GuidelinesVersion,
    ProjectChange,
)
from tests.annotation.judged import known, make_comparison
from tests.annotation.review.reading import as_, read

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def reviewers_pages(comparison):
    slug = comparison.project.slug
    pages = [reverse(f"annotation:{name}", args=[slug]) for name in ("comparisons", "flags", "skips")]
    return [*pages, reverse("annotation:comparison", args=[comparison.pk])]


def managers_pages(comparison):
    return [
        reverse("annotation:known_answers", args=[comparison.project.slug]),
        reverse("annotation:known_answer", args=[comparison.pk]),
        reverse("annotation:comparison_withdraw", args=[comparison.pk]),
    ]


def posts(comparison, flag, names):
    pks = {"flag_resolve": flag.pk}
    return [reverse(f"annotation:{name}", args=[pks.get(name, comparison.pk)]) for name in names]


# Who may


def test_reviewers_and_managers_see_the_comparisons(client, comparison):
    for username in ("rita", "dora"):
        for address in reviewers_pages(comparison):
            assert as_(client, username).get(address).status_code == 200


def test_annotators_and_strangers_do_not(client, comparison):
    for username in ("bob", "charlie"):
        for address in [*reviewers_pages(comparison), *managers_pages(comparison)]:
            assert as_(client, username).get(address).status_code == 403


def test_known_answers_and_withdrawals_are_for_managers(client, comparison):
    for address in managers_pages(comparison):
        assert as_(client, "dora").get(address).status_code == 200
        assert as_(client, "rita").get(address).status_code == 403


def test_the_anonymous_are_sent_to_the_sign_in_page(client, comparison, flag):
    for address in [*reviewers_pages(comparison), *managers_pages(comparison)]:
        assert client.get(address).url.startswith(reverse("login"))
    for address in posts(comparison, flag, ["decide", "ask_another", "comparison_priority", "flag_resolve"]):
        assert client.post(address).url.startswith(reverse("login"))


def test_what_changes_something_is_posted(client, comparison, flag):
    for address in posts(comparison, flag, ["decide", "ask_another", "comparison_priority", "flag_resolve"]):
        assert as_(client, "dora").get(address).status_code == 405
    for address in reviewers_pages(comparison):
        assert as_(client, "dora").post(address).status_code == 405


def test_annotators_change_nothing_and_reviewers_not_what_is_the_managers(client, comparison, flag):
    of_managers = ["comparison_priority", "comparison_withdraw", "known_answer", "back_to_work"]
    for address in posts(comparison, flag, ["decide", "ask_another", "flag_resolve", *of_managers]):
        assert as_(client, "bob").post(address, {"resolution": "x", "reason": "x"}).status_code == 403
    for address in posts(comparison, flag, of_managers):
        assert as_(client, "rita").post(address, {"reason": "x", "priority": 1}).status_code == 403
    assert ProjectChange.objects.count() == 0


# The list


def test_the_list_shows_prompt_state_and_disagreement(client, comparison, flag):
    page = read(client, "rita", "comparisons", "demo")
    assert "What is jam?" in page
    assert '<span class="review-split">1 : 1</span>' in page
    assert "1 flag" in page


def test_by_htmx_only_the_rows_come(client, comparison):
    address = reverse("annotation:comparisons", args=["demo"])
    page = as_(client, "rita").get(address, {"state": "disagreeing"}, headers=HTMX).content.decode().strip()
    assert page.startswith('<section id="comparisons"')
    assert "What is jam?" in page


def test_filters_that_do_not_exist_are_left_out(client, comparison):
    page = read(client, "rita", "comparisons", "demo", state="lost", order="?", page="-3", before="x", kind="cats")
    assert "What is jam?" in page


def test_pages_keep_the_filters(client, project, monkeypatch):
    monkeypatch.setattr("annotation.review.listing.PAGE", 1)
    for question in ("What is one?", "What is two?"):
        make_comparison(project, ["A.", "B."], question=question)
    page = read(client, "rita", "comparisons", "demo", text="what is", order="priority")
    assert "two" in page
    assert "?text=what+is&amp;order=priority&amp;page=2" in page
    assert "one" in read(client, "rita", "comparisons", "demo", text="what is", order="priority", page="2")


@pytest.mark.parametrize("query", [{}, {"state": "disagreeing"}, {"order": "disagreement"}, {"text": "pickles"}])
def test_an_empty_list_says_why(client, project, query):
    page = read(client, "rita", "comparisons", "demo", **query)
    assert 'class="empty"' in page
    assert ("Nobody disagrees here" in page) == (query.get("state") == "disagreeing")


def test_the_next_disagreement_opens_its_comparison(client, comparison):
    address = reverse("annotation:next_disagreement", args=["demo"])
    page = reverse("annotation:comparison", args=[comparison.pk])
    assert as_(client, "rita").get(address).url == page
    assert as_(client, "rita").get(address, {"kind": "all"}).url == f"{page}?kind=all"
    after = as_(client, "rita").get(address, {"after": comparison.pk}, follow=True)
    assert "That was the last one" in after.content.decode()


# One comparison


def test_every_judgment_stands_side_by_side_and_escaped(client, comparison):
    comparison.judgments.update(
        guidelines_version=GuidelinesVersion.objects.create(project=comparison.project, number=3)
    )
    page = read(client, "rita", "comparison", comparison.pk)
    assert "It is &lt;i&gt;food&lt;/i&gt;." in page
    assert "<b>sugar</b>" not in page
    assert "42 s" in page
    assert "version 3" in page
    assert "<strong>1 : 1</strong> is the split of 2 people" in page
    assert "bob" in page
    assert "eve" in page


def test_which_policy_wrote_what_is_for_managers_who_ask(client, comparison):
    assert "tiny" not in read(client, "dora", "comparison", comparison.pk)
    assert read(client, "dora", "comparison", comparison.pk, policies="1").count("tiny") == 2
    refused = as_(client, "rita").get(reverse("annotation:comparison", args=[comparison.pk]), {"policies": "1"})
    assert refused.status_code == 403


def test_a_very_long_text_has_an_address_of_its_own(client, project):
    long = make_comparison(project, ["<b>word</b> " * 10_000, "Short."])
    page = read(client, "rita", "comparison", long.pk)
    assert "more characters are not shown here" in page
    letter = "A" if reverse("annotation:comparison_text", args=[long.pk, "A"]) in page else "B"
    address = reverse("annotation:comparison_text", args=[long.pk, letter])
    response = client.get(address)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode().count("<b>word</b>") == 10_000
    assert client.get(reverse("annotation:comparison_text", args=[long.pk, "2"])).content.decode() == "What is jam?"
    assert client.get(reverse("annotation:comparison_text", args=[long.pk, "Z"])).status_code == 404
    assert as_(client, "bob").get(address).status_code == 403
    assert as_(client, "rita").post(address).status_code == 405


def test_deciding_opens_the_ranking_page(client, comparison):
    address = reverse("annotation:decide", args=[comparison.pk])
    response = as_(client, "rita").post(address)
    assignment = Assignment.objects.get(state=AssignmentState.HELD)
    assert response.url == assignment.get_absolute_url()
    assert (assignment.purpose, assignment.annotator.username) == ("review", "rita")
    assert as_(client, "rita").post(address).url == response.url  # a double click


def test_gold_cannot_be_decided_and_the_page_says_so(client, comparison):
    known(comparison)
    response = as_(client, "rita").post(reverse("annotation:decide", args=[comparison.pk]), follow=True)
    assert "its answer is the known one" in response.content.decode()
    assert not Assignment.objects.filter(purpose="review").exists()


def test_another_judgment_is_asked_for_once(client, comparison):
    address = reverse("annotation:ask_another", args=[comparison.pk])
    for _ in range(2):
        as_(client, "rita").post(address, {"wanted": "3"})
    comparison.refresh_from_db()
    assert comparison.wanted == 3
    assert comparison.slots.filter(is_filled=False).count() == 1


def test_the_next_judgment_that_may_be_asked_for_is_one_more_than_there_are(client, comparison):
    """Two were at work when the overlap was lowered to one, and both answered."""
    Comparison.objects.filter(pk=comparison.pk).update(wanted=1)
    assert comparison.slots.filter(is_filled=True).count() == 2
    page = as_(client, "rita").get(reverse("annotation:comparison", args=[comparison.pk]))
    assert page.context["one_more"] == 3
    assert 'value="3"' in page.content.decode()


def test_a_manager_sets_the_priority(client, comparison):
    address = reverse("annotation:comparison_priority", args=[comparison.pk])
    as_(client, "dora").post(address, {"priority": "7"})
    comparison.refresh_from_db()
    assert comparison.priority == 7
    assert "whole number" in as_(client, "dora").post(address, {"priority": "soon"}, follow=True).content.decode()


def test_withdrawing_asks_for_a_reason_and_restoring_too(client, comparison):
    address = reverse("annotation:comparison_withdraw", args=[comparison.pk])
    assert as_(client, "dora").post(address, {"do": "withdraw"}).status_code == 422
    as_(client, "dora").post(address, {"do": "withdraw", "reason": "Private data."})
    as_(client, "dora").post(address, {"do": "withdraw", "reason": "A double click."})
    comparison.refresh_from_db()
    assert comparison.withdrawn_at
    assert ProjectChange.objects.get().after == "withdrawn: Private data."
    assert "Restore comparison" in read(client, "dora", "comparison_withdraw", comparison.pk)
    as_(client, "dora").post(address, {"do": "restore", "reason": "None."})
    comparison.refresh_from_db()
    assert comparison.withdrawn_at is None


# Flags and skips


def test_a_flag_is_resolved_with_a_word(client, flag):
    assert "Which jam is &lt;b&gt;meant&lt;/b&gt;?" in read(client, "rita", "flags", "demo")
    address = reverse("annotation:flag_resolve", args=[flag.pk])
    assert as_(client, "rita").post(address, {"resolution": "The sweet one."}).url == reverse(
        "annotation:flags", args=["demo"]
    )
    flag.refresh_from_db()
    assert (flag.resolution, flag.resolved_by.username) == ("The sweet one.", "rita")
    assert "No open flag" in read(client, "rita", "flags", "demo")
    assert "The sweet one." in read(client, "rita", "flags", "demo", resolved="1")


def test_by_htmx_the_flag_alone_comes_back(client, flag):
    address = reverse("annotation:flag_resolve", args=[flag.pk])
    refused = as_(client, "rita").post(address, {"resolution": " "}, headers=HTMX)
    assert refused.status_code == 422
    assert "This field is required" in refused.content.decode()
    page = as_(client, "rita").post(address, {"resolution": "Seen."}, headers=HTMX).content.decode().strip()
    assert page.startswith(f'<li id="flag-{flag.pk}"')
    assert "Seen." in page
    assert 'hx-swap-oob="true">None is open any more.' in page  # the count above the list


def test_on_a_comparisons_page_no_count_comes_with_the_flag(client, flag):
    address = reverse("annotation:flag_resolve", args=[flag.pk])
    page = as_(client, "rita").post(address, {"resolution": "Seen.", "back": "comparison"}, headers=HTMX)
    assert "hx-swap-oob" not in page.content.decode()
    assert "flagged\n" in page.content.decode()


def test_the_tab_opens_on_what_annotators_disagree_on(client, comparison):
    address = reverse("annotation:comparisons", args=["demo"])
    assert f'href="{address}?order=disagreement"' in read(client, "rita", "flags", "demo")


def test_of_a_long_conversation_the_end_is_in_sight(client, comparison):
    turns = [{"role": role, "content": f"turn {n}"} for n, role in enumerate(["user", "assistant"] * 3 + ["user"], 1)]
    comparison.prompt.messages = turns
    comparison.prompt.save()
    page = read(client, "rita", "comparison", comparison.pk)
    _, conversation = page.split("Show the 5 turns before")
    assert conversation.index("turn 5<") < conversation.index("</details>") < conversation.index("turn 6<")


def test_from_a_comparisons_page_one_comes_back_to_it(client, flag):
    address = reverse("annotation:flag_resolve", args=[flag.pk])
    assert as_(client, "rita").post(address, {"resolution": "", "back": "comparison"}).status_code == 422
    response = as_(client, "rita").post(address, {"resolution": "Seen.", "back": "comparison"})
    assert response.url == reverse("annotation:comparison", args=[flag.comparison_id])


def test_skips_are_counted_by_reason_and_annotator(client, comparison):
    assert "Nobody skipped anything" in read(client, "rita", "skips", "demo")
    Assignment.objects.update(state=AssignmentState.SKIPPED, skip_reason="I <b>cannot</b>")
    page = read(client, "rita", "skips", "demo")
    assert "I &lt;b&gt;cannot&lt;/b&gt;" in page
    assert "?annotator=eve" in page
    assert "What is jam?" in read(client, "rita", "skips", "demo", annotator="eve", reason="I <b>cannot</b>")
    assert "What is jam?" not in read(client, "rita", "skips", "demo", reason="other\x00")
