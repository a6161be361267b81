"""What annotators want a manager to look at."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from annotation import actions
from annotation.models import Flag

pytestmark = pytest.mark.django_db
SCRIPT = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def bobs(client, bob):
    client.force_login(bob)
    return client


def flag(assignment):
    return reverse("annotation:flag", args=[assignment.pk])


def test_a_flag_is_kept_with_who_raised_it(bobs, held, bob):
    assert bobs.post(flag(held), {"note": "  The prompt is cut off.  "}, **SCRIPT).status_code == 204
    kept = Flag.objects.get()
    assert (kept.comparison, kept.raised_by, kept.note) == (held.comparison, bob, "The prompt is cut off.")


def test_another_note_takes_the_place_of_the_first_while_the_flag_is_open(bobs, held):
    for note in ("First.", "Second."):
        bobs.post(flag(held), {"note": note}, **SCRIPT)
    assert Flag.objects.get().note == "Second."


def test_after_it_was_resolved_a_new_flag_is_raised(bobs, held):
    bobs.post(flag(held), {"note": "First."}, **SCRIPT)
    Flag.objects.update(resolved_at=timezone.now())
    bobs.post(flag(held), {"note": "Again."}, **SCRIPT)
    assert list(Flag.objects.values_list("note", flat=True)) == ["Again.", "First."]


@pytest.mark.parametrize(
    ("note", "message"),
    [("", "Say what is wrong"), ("  \n", "Say what is wrong"), ("x" * 1001, "at most 1000"), ("a\x00b", "U+0000")],
)
def test_a_note_that_cannot_be_kept_is_refused_in_words(bobs, held, note, message):
    response = bobs.post(flag(held), {"note": note}, **SCRIPT)
    assert response.status_code == 422
    assert response.headers["Content-Type"].startswith("text/plain")
    assert message in response.content.decode()
    assert not Flag.objects.exists()


def test_without_a_script_one_comes_back_to_the_task_with_a_word(bobs, held):
    response = bobs.post(flag(held), {"note": "Look."}, follow=True)
    assert response.redirect_chain[0][0] == held.get_absolute_url()
    assert b"Flagged: a manager will look at it." in response.content


def test_without_a_script_a_refusal_is_shown_too(bobs, held):
    assert b"Say what is wrong" in bobs.post(flag(held), {"note": ""}, follow=True).content


def test_what_one_skipped_can_be_flagged_from_the_list(bobs, project, held, bob):
    actions.skip(assignment=held, annotator=bob, reason="")
    response = bobs.post(flag(held), {"note": "Look."})
    assert response.url == reverse("annotation:answers", args=[project.slug])


def test_somebody_elses_task_cannot_be_flagged(client, held, alice):
    client.force_login(alice)
    assert client.post(flag(held), {"note": "Look."}).status_code == 404
    with pytest.raises(actions.NotYours):
        actions.raise_flag(assignment=held, annotator=alice, note="Look.")


def test_a_flag_is_posted_by_who_is_signed_in(client, bobs, held):
    assert bobs.get(flag(held)).status_code == 405
    client.logout()
    assert client.post(flag(held), {"note": "Look."}, **SCRIPT).status_code == 401


def test_one_open_flag_per_comparison_and_annotator(held, bob):
    Flag.objects.create(comparison=held.comparison, raised_by=bob, note="One.")
    with pytest.raises(IntegrityError, match="one_open_flag_per_comparison_and_annotator"), transaction.atomic():
        Flag.objects.create(comparison=held.comparison, raised_by=bob, note="Two.")
