"""One's own answers: the list, and the way back."""

import re
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation import actions
from annotation.actions import Answer, Edit
from annotation.models import Assignment, AssignmentState, Comparison, Flag, Project
from annotation.rules.ranking import EDIT

pytestmark = pytest.mark.django_db


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


@pytest.fixture
def judge(project, write, bob):
    """judge(message=...): open one more comparison, and let Bob rank it A, B, C, D unless it is said otherwise."""

    def judge(message="How long?", skip=None, assignment=None, **said):
        if assignment is None:
            completions = write(messages=[{"role": "user", "content": message}])
            actions.open_comparisons(project=project, completions=completions, k=4)
            assignment = actions.claim_next(project=project, annotator=bob)
        if skip is not None:
            actions.skip(assignment=assignment, annotator=bob, reason=skip)
            return assignment
        answer = {"ranking": [[pk] for pk in assignment.display_order]} | said
        actions.submit_judgment(
            assignment=assignment, annotator=bob, answer=Answer(**answer), request_key=uuid.uuid4()
        )  # fmt: skip
        return assignment

    return judge


def answers(project, **query):
    return reverse("annotation:answers", args=[project.slug], query=query)


def previous(project, **query):
    return reverse("annotation:previous", args=[project.slug], query=query)


def prompts(response):
    return [line.prompt for line in response.context["lines"]]


def test_the_newest_answer_comes_first_with_its_ranking_in_letters(bobs, project, judge):
    judge("First?")
    judge("Second?")
    response = bobs.get(answers(project))
    assert prompts(response) == ["Second?", "First?"]
    assert [line.ranking for line in response.context["lines"]] == ["A > B > C > D"] * 2


def test_each_leads_to_its_correction(bobs, project, judge):
    assert judge().get_absolute_url() in bobs.get(answers(project)).content.decode()


def test_ties_edits_and_all_bad_are_shown(bobs, project, judge):
    Project.objects.update(allow_edits=True, allow_all_bad=True)
    assignment = judge(skip=None, assignment=None)
    a, b, c, d = assignment.display_order
    judge(
        assignment=assignment, ranking=[[EDIT], [a, c], [b, d]], edit=Edit(of=c, text="Better."), all_bad=True
    )  # fmt: skip
    response = bobs.get(answers(project))
    assert response.context["lines"][0].ranking == "C+ > A = C > B = D"
    assert b"all bad" in response.content
    assert b"corrected" in response.content


def test_what_was_skipped_is_there_with_its_reason(bobs, project, judge):
    judge("Odd?", skip="The prompt makes no sense")
    html = bobs.get(answers(project)).content.decode()
    assert "Skipped" in html
    assert "The prompt makes no sense" in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["Flagged?", "Skipped?", "Corrected?", "Plain?"]),
        ({"show": "judged"}, ["Flagged?", "Corrected?", "Plain?"]),
        ({"show": "corrected"}, ["Corrected?"]),
        ({"show": "skipped"}, ["Skipped?"]),
        ({"show": "flagged"}, ["Flagged?"]),
        ({"show": "nonsense"}, ["Flagged?", "Skipped?", "Corrected?", "Plain?"]),
        ({"q": "pla"}, ["Plain?"]),
        ({"q": "pla", "show": "skipped"}, []),
        ({"q": "100%"}, []),
        ({"q": "\x00"}, ["Flagged?", "Skipped?", "Corrected?", "Plain?"]),
    ],
)
def test_the_list_can_be_narrowed(bobs, project, judge, bob, query, found):
    judge("Plain?")
    corrected = judge("Corrected?")
    judge(assignment=corrected)
    judge("Skipped?", skip="")
    actions.raise_flag(assignment=judge("Flagged?"), annotator=bob, note="Look.")
    assert prompts(bobs.get(answers(project, **query))) == found


def test_who_raised_a_flag_learns_what_became_of_it(bobs, project, judge, bob):
    actions.raise_flag(assignment=judge(), annotator=bob, note="Look.")
    assert b"Flagged" in bobs.get(answers(project)).content
    Flag.objects.update(resolved_at=timezone.now(), resolution="Mended, thank you.")
    assert b"Mended, thank you." in bobs.get(answers(project)).content


def test_a_long_list_has_pages_and_needs_as_many_queries_as_a_short_one(
    bobs, project, judge, django_assert_max_num_queries
):
    judge("Nearly the last?")
    judge("The last?")
    for number in range(25):
        judge(f"Question {number}?")
    with django_assert_max_num_queries(11):
        first = bobs.get(answers(project))
    assert len(first.context["lines"]) == 25
    assert b"Page 1 of 2" in first.content
    assert prompts(bobs.get(answers(project, page=2))) == ["The last?", "Nearly the last?"]
    assert bobs.get(answers(project, page="x")).context["page"].number == 1


def test_a_long_prompt_is_cut_and_a_hostile_one_harmless(bobs, project, judge):
    judge("<script>alert(1)</script> " + "x" * 500)
    html = bobs.get(answers(project)).content.decode()
    assert "<script>alert" not in html
    assert "x" * 300 not in html
    assert "…" in html


def test_gold_and_qualification_look_like_any_other_work(bobs, project, judge, bob):
    work, gold = judge("The same?"), judge("The same?")
    Comparison.objects.filter(pk=gold.comparison_id).update(purpose="gold", known_ranking=[gold.display_order])
    Assignment.objects.filter(pk=gold.pk).update(purpose="gold", slot=None)
    html = bobs.get(answers(project)).content.decode()
    rows = [re.sub(r"(?s)[0-9a-f-]{36}|<time.*?</time>|value=\"\w{64}\"", "", row) for row in html.split("<tr>")[2:]]
    assert len(rows) == 2
    assert rows[0].split("</tr>")[0] == rows[1].split("</tr>")[0]
    assert work.pk != gold.pk


def test_no_model_and_nobody_elses_answer_is_on_the_page(bobs, client, project, judge, alice):
    judge("Mine?")
    assert b"policy-0" not in bobs.get(answers(project)).content
    client.force_login(alice)
    assert prompts(client.get(answers(project))) == []


def test_without_an_answer_the_page_says_what_will_be_there(bobs, project):
    assert b"No answer yet" in bobs.get(answers(project)).content
    assert b"Nothing found" in bobs.get(answers(project, show="skipped")).content


@pytest.mark.parametrize("address", [answers, previous])
def test_only_members_may_look_and_only_look(client, bobs, project, charlie, address):
    assert bobs.post(address(project)).status_code == 405
    client.force_login(charlie)
    assert client.get(address(project)).status_code == 403
    client.logout()
    assert client.get(address(project)).url.startswith(reverse("login"))


# The way back


def test_previous_leads_to_what_was_submitted_last_and_then_further_back(bobs, project, judge):
    first, second = judge("First?"), judge("Second?")
    judge("Skipped?", skip="")
    assert bobs.get(previous(project)).url == second.get_absolute_url()
    assert bobs.get(previous(project, before=second.pk)).url == first.get_absolute_url()


def test_from_an_open_task_previous_leads_to_what_was_submitted_last(bobs, project, judge, write, bob):
    judged = judge("First?")
    actions.open_comparisons(project=project, completions=write(), k=4)
    held = actions.claim_next(project=project, annotator=bob)
    assert bobs.get(previous(project, before=held.pk)).url == judged.get_absolute_url()


def test_a_correction_does_not_change_the_way_back(bobs, project, judge):
    first, second = judge("First?"), judge("Second?")
    judge(assignment=first)
    assert bobs.get(previous(project)).url == second.get_absolute_url()
    assert bobs.get(previous(project, before=second.pk)).url == first.get_absolute_url()


def test_before_the_first_one_there_is_nothing(bobs, project, judge):
    only = judge()
    response = bobs.get(previous(project, before=only.pk), follow=True)
    assert response.redirect_chain[0][0] == only.get_absolute_url()
    assert b"There is no earlier answer of yours." in response.content


@pytest.mark.parametrize("before", ["", "x", "6f1a8c52-0000-4000-8000-000000000000"])
def test_who_has_no_answer_is_led_to_the_task(bobs, project, before):
    assert bobs.get(previous(project, before=before)).url == reverse("annotation:annotate", args=[project.slug])


def test_the_page_knows_whether_there_is_a_way_back(bobs, project, judge, held):
    address = reverse("annotation:annotate", args=[project.slug])
    assert not bobs.get(address).context["can_go_back"]
    judge(assignment=held)
    assert bobs.get(address).context["can_go_back"]
    assert not Assignment.objects.filter(state=AssignmentState.HELD).exists()
