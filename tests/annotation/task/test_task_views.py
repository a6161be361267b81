"""The page that people rank on."""

import re
import uuid

import pytest
from django.db import connection
from django.urls import reverse

from annotation import actions
from annotation.models import Assignment, AssignmentState, Judgment, Project, Role, Slot

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


def url(name, assignment):
    return reverse(f"annotation:{name}", args=[assignment.pk])


def annotate(project):
    return reverse("annotation:annotate", args=[project.slug])


def answer(key=None, **changes):
    """A best, then C and D tied, then B."""
    fields = {
        "rank_A": 1, "rank_B": 3, "rank_C": 2, "rank_D": 2, "strength_1": "significantly_better",
        "strength_2": "slightly_better", "strength_3": "better", "request_key": key or uuid.uuid4(),
    }  # fmt: skip
    return fields | changes


def test_the_page_shows_the_conversation_and_every_completion(bobs, project, comparison):
    html = bobs.get(annotate(project)).content.decode()
    assert "Question 0?" in html
    assert "<strong>Paris</strong>" in html
    assert re.findall(r'data-completion="(\w+)"', html) == ["A", "B", "C", "D"]


def test_the_page_says_nothing_about_who_wrote_what(bobs, project, write):
    with connection.cursor() as cursor:  # ids that nothing else in the page looks like
        cursor.execute("SELECT setval(pg_get_serial_sequence('sampling_completion', 'id'), 76543000)")
    actions.open_comparisons(project=project, completions=write(), k=4)
    html = bobs.get(annotate(project)).content.decode()
    assert project.comparisons.get().completions.filter(pk__gt=76543000).count() == 4
    assert "policy-0" not in html
    assert "76543" not in html


def test_letters_follow_the_order_of_display(bobs, project, held):
    html = bobs.get(annotate(project)).content.decode()
    shown = re.findall(r'<pre class="raw plain-text" data-completion="\w+" hidden>([^<]*)</pre>', html)
    texts = dict(held.comparison.completions.values_list("pk", "text"))
    assert shown == [texts[pk] for pk in held.display_order]


def test_markup_of_a_model_is_not_markup_of_the_page(bobs, project, write):
    write(["<script>alert(1)</script>", "</pre><script>alert(2)</script>"])
    actions.open_comparisons(project=project, completions=write(["a", "b"]), k=2)
    html = bobs.get(annotate(project)).content.decode()
    assert "<script>alert" not in html


def test_htmx_gets_the_fragment_alone(bobs, project, comparison):
    response = bobs.get(annotate(project), **HTMX)
    assert response.content.decode().lstrip().startswith('<section id="task"')
    assert b"<html" not in response.content


def test_the_pages_security_policy_lets_nothing_inline_run(bobs, project, comparison):
    response = bobs.get(annotate(project))
    html = response.content.decode()
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*(?:src=|application/json))|<style|\sstyle=|\son[a-z]+=", html)


def test_the_anonymous_are_sent_to_sign_in(client, project, comparison):
    response = client.get(annotate(project))
    assert response.status_code == 302
    assert response.url.startswith(reverse("login"))


@pytest.mark.parametrize("name", ["submit", "skip", "draft", "renew"])
def test_a_page_whose_session_ended_is_told_so_and_not_replaced(client, held, name):
    assert client.post(url(name, held), answer(), **HTMX).status_code == 401
    assert client.post(url(name, held), answer()).url.startswith(reverse("login"))
    assert not Judgment.objects.exists()


def test_who_is_no_member_may_not_annotate(client, project, comparison, charlie):
    client.force_login(charlie)
    assert client.get(annotate(project)).status_code == 403
    assert not Assignment.objects.exists()


def test_the_page_is_only_read(bobs, project, comparison):
    assert bobs.post(annotate(project)).status_code == 405


@pytest.mark.parametrize("name", ["submit", "skip", "draft", "renew"])
def test_what_changes_something_is_only_posted(bobs, held, name):
    assert bobs.get(url(name, held)).status_code == 405


@pytest.mark.parametrize("name", ["assignment", "submit", "skip", "draft", "renew"])
def test_somebody_elses_assignment_is_not_found(client, held, alice, name):
    client.force_login(alice)
    send = client.get if name == "assignment" else client.post
    assert send(url(name, held), answer()).status_code == 404


def test_who_was_removed_may_not_go_on(bobs, project, held, bob):
    actions.remove_member(project=project, user=bob)
    assert bobs.post(url("submit", held), answer()).status_code == 403
    assert not Judgment.objects.exists()


def test_a_plain_submit_keeps_the_judgment_and_leads_to_the_next(bobs, project, held):
    response = bobs.post(url("submit", held), answer(seconds_spent="7.5", rationale="A knows"))
    assert response.status_code == 302
    assert response.url.startswith(annotate(project))
    judgment = Judgment.objects.get()
    a, b, c, d = held.display_order
    assert judgment.ranking == [[a], [c, d], [b]]
    assert judgment.strengths == ["significantly_better", "slightly_better"]
    assert (judgment.seconds_spent, judgment.rationale) == (7.5, "A knows")


def test_htmx_submit_answers_with_the_next_comparison(bobs, project, write):
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    first = actions.claim_next(project=project, annotator=bobs.get(annotate(project)).wsgi_request.user)
    response = bobs.post(url("submit", first), answer(), **HTMX)
    second = Assignment.objects.get(state=AssignmentState.HELD)
    html = response.content.decode()
    assert response.status_code == 200
    assert str(second.pk) in html
    assert response.context["progress"].done == 1
    assert url("assignment", first) in html  # the way to correct it


def test_after_the_last_one_the_page_says_so(bobs, held):
    html = bobs.post(url("submit", held), answer(), **HTMX).content.decode()
    assert "Nothing to rank right now" in html


def test_without_any_comparison_the_page_says_what_happens_next(bobs, project):
    assert "Nothing to rank yet" in bobs.get(annotate(project)).content.decode()


def test_a_double_click_is_one_judgment(bobs, held):
    key = uuid.uuid4()
    for _ in range(2):
        assert bobs.post(url("submit", held), answer(key), **HTMX).status_code == 200
    assert Judgment.objects.count() == 1


def test_an_unfinished_ranking_is_refused_and_stays_on_the_page(bobs, held):
    response = bobs.post(url("submit", held), answer(rank_B="", rationale="still thinking"), **HTMX)
    html = response.content.decode()
    assert response.status_code == 422
    assert "B has no rank yet" in html
    assert "still thinking" in html
    assert '<option value="1" selected>1</option>' in html
    assert not Judgment.objects.exists()


@pytest.mark.parametrize(
    "change", [{"rank_A": 9}, {"rank_A": "x"}, {"strength_1": "superb"}, {"request_key": "no"}, {"seconds_spent": -1}]
)
def test_values_that_do_not_exist_are_refused(bobs, held, change):
    assert bobs.post(url("submit", held), answer(**change)).status_code == 422
    assert not Judgment.objects.exists()


def test_a_lost_lease_is_said_and_the_answer_stays(bobs, project, held, alice):
    Slot.objects.update(free_from=held.created_at)
    actions.claim_next(project=project, annotator=alice)
    response = bobs.post(url("submit", held), answer(rationale="mine"), **HTMX)
    assert response.status_code == 409
    html = response.content.decode()
    assert "another annotator has this comparison now" in html
    assert "mine" in html
    assert not Judgment.objects.exists()


def test_where_ties_are_not_allowed_a_tie_is_a_form_error(bobs, held):
    Project.objects.update(allow_ties=False)
    response = bobs.post(url("submit", held), answer())
    assert response.status_code == 422
    assert "no ties" in response.content.decode()


def test_a_draft_is_kept_and_shown_again(bobs, project, held):
    response = bobs.post(url("draft", held), {"rank_B": 1, "rationale": "so far", "seconds_spent": 3})
    assert response.status_code == 204
    html = bobs.get(annotate(project)).content.decode()
    select = re.search(r'<select name="rank_B".*?</select>', html, re.S)[0]
    assert '<option value="1" selected>' in select
    assert "so far" in html


def test_a_draft_with_nonsense_keeps_what_is_sound(bobs, held):
    assert bobs.post(url("draft", held), {"rank_A": "x", "rank_B": 2}).status_code == 204
    held.refresh_from_db()
    assert held.draft["rank_B"] == 2
    assert "rank_A" not in held.draft


def test_a_draft_and_a_renewal_of_a_lost_lease_are_refused_in_words(bobs, project, held, alice):
    Slot.objects.update(free_from=held.created_at)
    actions.claim_next(project=project, annotator=alice)
    for name in ("draft", "renew"):
        response = bobs.post(url(name, held), {"rank_A": 1})
        assert response.status_code == 409
        assert "another annotator" in response.content.decode()


def test_renewing_holds_the_slot_longer(bobs, held):
    Slot.objects.update(free_from=held.created_at)
    assert bobs.post(url("renew", held)).status_code == 204
    held.slot.refresh_from_db()
    assert held.slot.free_from > held.created_at


def test_skipping_leads_to_the_next(bobs, project, write):
    actions.open_comparisons(project=project, completions=write(prompts=2), k=4)
    bobs.get(annotate(project))
    first = Assignment.objects.get()
    response = bobs.post(url("skip", first), {"reason": "I cannot judge this"}, **HTMX)
    first.refresh_from_db()
    assert (first.state, first.skip_reason) == ("skipped", "I cannot judge this")
    assert str(Assignment.objects.get(state="held").pk) in response.content.decode()


def test_a_submitted_assignment_can_be_corrected(bobs, held):
    bobs.post(url("submit", held), answer())
    page = bobs.get(url("assignment", held)).content.decode()
    assert "Save correction" in page
    assert '<option value="3" selected>' in re.search(r'<select name="rank_B".*?</select>', page, re.S)[0]
    response = bobs.post(url("submit", held), answer(rank_A=2, rank_C=1, rank_D=1, rank_B=3), **HTMX)
    assert response.headers["HX-Redirect"].startswith(annotate(held.comparison.project))
    assert Judgment.objects.current().get().revision == 2


def based_on(html):
    return re.search(r'name="based_on" value="(\d+)"', html)[1]


def test_a_page_carries_the_revision_that_it_was_opened_on(bobs, project, held):
    assert based_on(bobs.get(annotate(project)).content.decode()) == "0"
    bobs.post(url("submit", held), answer(based_on=0))
    assert based_on(bobs.get(url("assignment", held)).content.decode()) == "1"


def test_a_stale_tab_is_told_so_and_replaces_the_other_answer_only_when_it_is_sent_again(bobs, held):
    bobs.post(url("submit", held), answer(based_on=0, rationale="from one tab"))
    key = uuid.uuid4()
    response = bobs.post(url("submit", held), answer(key, based_on=0, rationale="from the other"), **HTMX)
    html = response.content.decode()
    assert response.status_code == 409
    assert "You answered this differently in another tab" in html
    assert "from the other" in html
    assert Judgment.objects.get().rationale == "from one tab"
    assert based_on(html) == "1"
    new_key = re.search(r'name="request_key" value="([^"]+)"', html)[1]
    assert new_key != str(key)
    again = answer(new_key, based_on=1, rationale="from the other")
    assert bobs.post(url("submit", held), again, **HTMX).status_code == 200
    assert Judgment.objects.current().get().rationale == "from the other"


def test_another_answer_under_a_key_that_was_used_is_never_said_to_be_saved(bobs, held):
    key = uuid.uuid4()
    bobs.post(url("submit", held), answer(key))
    assert bobs.post(url("submit", held), answer(key, rationale="changed"), **HTMX).status_code == 409
    assert Judgment.objects.get().rationale == ""


def test_a_skipped_assignment_leads_back_to_the_queue(bobs, project, held, bob):
    actions.skip(assignment=held, annotator=bob, reason="")
    assert bobs.get(url("assignment", held)).url == annotate(project)


def test_a_simulated_member_is_recorded_as_simulated(bobs, project, held, bob):
    actions.add_member(project=project, user=bob, role=Role.ANNOTATOR, kind="simulated")
    bobs.post(url("submit", held), answer())
    assert Judgment.objects.get().kind == "simulated"


def test_a_paused_project_says_so(bobs, project, comparison):
    actions.set_paused(project=project, is_paused=True)
    assert "This project is paused" in bobs.get(annotate(project)).content.decode()
