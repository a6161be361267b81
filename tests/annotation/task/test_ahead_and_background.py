"""No waiting: the task after this one, fetched ahead, and answers that are sent while one works on."""

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation import actions
from annotation.models import Assignment, AssignmentState, Judgment, Project, Slot

pytestmark = pytest.mark.django_db
SCRIPT = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


@pytest.fixture
def comparisons(project, write):
    """Three open comparisons."""
    actions.open_comparisons(project=project, completions=write(prompts=3), k=4)
    return project.comparisons.all()


@pytest.fixture
def first(project, comparisons, bob):
    return actions.claim_next(project=project, annotator=bob)


def ahead(project):
    return reverse("annotation:ahead", args=[project.slug])


def url(name, assignment):
    return reverse(f"annotation:{name}", args=[assignment.pk])


def answer(**changes):
    fields = {"rank_A": 1, "rank_B": 2, "rank_C": 3, "rank_D": 4, "request_key": uuid.uuid4(), "background": "1"}
    return fields | changes


def take_away(assignment, project, somebody):
    """Let the lease run out and somebody else take the slot."""
    past = timezone.now() - timedelta(seconds=1)
    Slot.objects.filter(pk=assignment.slot_id).update(free_from=past)
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=past)
    actions.claim_next(project=project, annotator=somebody)


# Ahead


def test_ahead_is_the_fragment_of_the_next_task_and_leases_it(bobs, project, first):
    response = bobs.post(ahead(project), {"of": first.pk}, **SCRIPT)
    html = response.content.decode()
    second = Assignment.objects.exclude(pk=first.pk).get()
    assert response.status_code == 200
    assert html.lstrip().startswith('<section id="task"')
    assert f'data-task="{second.pk}"' in html
    assert str(first.pk) not in html
    assert second.state == AssignmentState.HELD
    assert second.leased_until > timezone.now()


def test_ahead_says_nothing_about_who_wrote_what(bobs, project, first):
    assert b"policy-0" not in bobs.post(ahead(project), {"of": first.pk}, **SCRIPT).content


def test_asking_twice_gives_the_same_task_and_a_third_is_never_held(bobs, project, first):
    pages = [bobs.post(ahead(project), {"of": first.pk}, **SCRIPT).context["assignment"] for _ in range(2)]
    assert pages[0] == pages[1]
    assert Assignment.objects.count() == 2


def test_a_reload_still_shows_the_first_one(bobs, project, first):
    bobs.post(ahead(project), {"of": first.pk}, **SCRIPT)
    assert bobs.get(reverse("annotation:annotate", args=[project.slug])).context["assignment"] == first


def test_where_nothing_is_left_ahead_has_no_content(bobs, project, comparison, held):
    assert bobs.post(ahead(project), {"of": held.pk}, **SCRIPT).status_code == 204


def test_a_paused_project_gives_nothing_ahead(bobs, project, first):
    actions.set_paused(project=project, is_paused=True)
    assert bobs.post(ahead(project), {"of": first.pk}, **SCRIPT).status_code == 204


def test_ahead_of_what_is_not_ones_own_is_not_found(client, bobs, project, first, alice):
    for of in ("", "x", uuid.uuid4()):
        assert bobs.post(ahead(project), {"of": of}, **SCRIPT).status_code == 404
    client.force_login(alice)
    assert client.post(ahead(project), {"of": first.pk}, **SCRIPT).status_code == 404
    assert Assignment.objects.count() == 1


def test_ahead_is_posted_by_members(client, bobs, project, first, charlie):
    assert bobs.get(ahead(project)).status_code == 405
    client.force_login(charlie)
    assert client.post(ahead(project), {"of": first.pk}, **SCRIPT).status_code == 403
    client.logout()
    assert client.post(ahead(project), {"of": first.pk}, **SCRIPT).status_code == 401


# In the background


def test_an_answer_in_the_background_is_kept_and_answered_with_nothing(bobs, first):
    response = bobs.post(url("submit", first), answer())
    assert (response.status_code, response.content) == (204, b"")
    assert Judgment.objects.count() == 1


def test_sent_twice_it_is_kept_once(bobs, first):
    sent = answer()
    assert [bobs.post(url("submit", first), sent).status_code for _ in range(2)] == [204, 204]
    assert Judgment.objects.count() == 1


def test_a_correction_in_the_background_is_a_revision(bobs, first):
    for ranks in ({}, {"rank_A": 4, "rank_D": 1}):
        assert bobs.post(url("submit", first), answer(**ranks)).status_code == 204
    assert Judgment.objects.current().get().revision == 2


def test_a_refusal_in_the_background_is_plain_words(bobs, first):
    Project.objects.update(rationale="required")
    response = bobs.post(url("submit", first), answer(rank_B="", rank_C=""))
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode().splitlines() == [
        "B has no rank yet. Rank every completion, or skip.",
        "C has no rank yet. Rank every completion, or skip.",
        "Say why: this project wants a rationale with every answer.",
    ]


def test_a_refusal_by_the_action_is_plain_words_too(bobs, first):
    Project.objects.update(allow_ties=False)
    response = bobs.post(url("submit", first), answer(rank_B=1))
    assert (response.status_code, response.content.decode()[:26]) == (422, "This project has no ties. ")


def test_a_lost_lease_is_said_in_plain_words(bobs, project, first, alice):
    take_away(first, project, alice)
    response = bobs.post(url("submit", first), answer())
    assert response.status_code == 409
    assert "another annotator has this comparison now" in response.content.decode()
    assert not Judgment.objects.exists()


def test_what_can_be_put_right_says_where_and_what_cannot_does_not(bobs, project, first, alice):
    link = first.get_absolute_url()
    assert bobs.post(url("submit", first), answer(rank_B="")).headers["Content-Location"] == link
    assert bobs.post(url("submit", first), answer(based_on=0)).status_code == 204
    response = bobs.post(url("submit", first), answer(based_on=0, rank_A=4))
    assert (response.status_code, response.headers["Content-Location"]) == (409, link)
    assert response.content.decode() == "You answered this differently in another tab, and that answer is kept."
    second = actions.claim_next(project=project, annotator=first.annotator)
    take_away(second, project, alice)
    assert "Content-Location" not in bobs.post(url("submit", second), answer()).headers


@pytest.mark.parametrize("name", ["submit", "skip"])
def test_who_was_removed_meanwhile_is_told_so_in_plain_words(bobs, project, first, bob, name):
    actions.remove_member(project=project, user=bob)
    response = bobs.post(url(name, first), answer(user=bob.pk))
    assert (response.status_code, response.headers["Content-Type"]) == (403, "text/plain; charset=utf-8")
    assert response.content.decode() == "You are no longer a member of this project."


def test_what_is_gone_is_said_in_plain_words(bobs, bob):
    response = bobs.post(reverse("annotation:submit", args=[uuid.uuid4()]), answer(user=bob.pk))
    assert (response.status_code, response.content.decode()) == (404, "This comparison is not there any more.")


def test_what_waited_until_somebody_else_signed_in_waits_on(client, first, alice, bob):
    client.force_login(alice)
    assert client.post(url("submit", first), answer(user=bob.pk)).status_code == 401
    assert not Judgment.objects.exists()


@pytest.mark.parametrize("name", ["submit", "skip"])
def test_who_is_signed_out_is_told_so_in_the_background(client, first, name):
    assert client.post(url(name, first), answer()).status_code == 401


def test_a_skip_in_the_background_is_answered_with_nothing(bobs, first):
    response = bobs.post(url("skip", first), {"reason": "I cannot judge this", "background": "1"})
    first.refresh_from_db()
    assert response.status_code == 204
    assert (first.state, first.skip_reason) == ("skipped", "I cannot judge this")


def test_skipping_what_one_holds_no_more_is_no_error(bobs, project, first, alice):
    take_away(first, project, alice)
    assert bobs.post(url("skip", first), {"background": "1"}).status_code == 204
    assert bobs.post(url("skip", first), {}, **SCRIPT).status_code == 200


@pytest.mark.parametrize(
    ("reasons", "kept"),
    [
        (["I cannot judge this", "it is in Welsh"], "I cannot judge this: it is in Welsh"),
        (["", "it is in Welsh"], "it is in Welsh"),
        (["x" * 300], "x" * 200),
        (["a\x00b"], "ab"),
    ],
)
def test_a_reason_may_be_ones_own_words(bobs, first, reasons, kept):
    bobs.post(url("skip", first), {"reason": reasons, "background": "1"})
    first.refresh_from_db()
    assert first.skip_reason == kept
