"""The managers' pages in a real browser: nothing for axe-core to find, and nothing wider than the screen."""

import uuid

import pytest
from django.urls import reverse

from annotation import actions
from annotation.models import Membership, Slot
from annotation.queue import overlap
from tests.annotation.browser.pages import PHONE, assert_accessible


@pytest.fixture
def busy(project, write, alice, bob, charlie):
    """Everything that a page of a project may have to show."""
    actions.open_comparisons(project=project, completions=write(prompts=8), k=4)
    for _ in range(6):
        held = actions.claim_next(project=project, annotator=bob)
        answer = actions.Answer([held.display_order])
        actions.submit_judgment(assignment=held, annotator=bob, answer=answer, request_key=uuid.uuid4())
    actions.claim_next(project=project, annotator=bob)
    known = project.comparisons.last()
    project.comparisons.filter(pk=known.pk).update(purpose="qualification", known_ranking=[[1], [2]])
    actions.add_member(project=project, user=charlie, role="annotator", groups=["law", "a long name of a group"])
    project.aspects = [{"key": "tone", "label": "Tone", "lowest": 0, "highest": 4, "low_label": "a", "high_label": "b"}]
    actions.save_settings(project=project, by=alice)
    return project


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.mark.parametrize("options", [{}, {**PHONE, "color_scheme": "dark"}], ids=["desktop light", "phone dark"])
def test_the_managers_pages_are_accessible_and_fit(new_page, alice, bob, busy, options):
    page = new_page(alice, "/", **options)
    root = page.url.rstrip("/")
    names = ["project", "project_settings", "project_pause", "members", "history", "open_comparisons", "fit"]
    addresses = [reverse(f"annotation:{name}", args=[busy.slug]) for name in names]
    membership = Membership.objects.get(project=busy, user=bob)
    addresses += [
        reverse(f"annotation:{name}", args=[busy.slug, membership.pk]) for name in ("member", "member_remove")
    ]
    addresses += [reverse("annotation:project_new") + more for more in ("", "?preset=instructgpt")]
    for address in ["/", *addresses]:
        page.goto(root + address)
        assert_accessible(page)
        assert fits(page), address


def test_wrong_lines_are_shown_beside_what_was_written(new_page, alice, busy):
    page = new_page(alice, reverse("annotation:project_settings", args=[busy.slug]))
    page.get_by_label("Aspects").fill("Fine\nTone: warm")
    page.get_by_role("button", name="Save").click()
    page.get_by_text('Line 2: "Tone: warm" cannot be read').wait_for()
    assert page.get_by_label("Aspects").input_value() == "Fine\nTone: warm"
    assert_accessible(page)
    page.errors.clear()  # the browser logs every 422


def test_a_link_is_made_copied_and_joined_by_who_is_new(new_page, live_server, browser, alice, busy):
    page = new_page(alice, reverse("annotation:members", args=[busy.slug]))
    page.get_by_role("button", name="Make a link").dblclick()  # a double click is one link
    link = page.get_by_role("textbox", name="Invitation link").input_value()
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied.").wait_for()
    assert_accessible(page)
    assert busy.invitations.count() == 1

    context = browser.new_context(viewport=PHONE["viewport"])
    guest = context.new_page()
    guest.goto(link)
    assert_accessible(guest)
    assert fits(guest)
    guest.get_by_label("Username").fill("dora")
    guest.get_by_label("Password", exact=True).fill("a long enough pass phrase")
    guest.get_by_label("Password confirmation").fill("a long enough pass phrase")
    guest.get_by_role("button", name="Make an account and join").click()
    guest.get_by_text("You can now annotate Capitals.").wait_for()
    context.close()
    assert busy.memberships.filter(user__username="dora").exists()


def test_a_large_project_is_fitted_by_itself_once_it_has_begun(new_page, alice, busy, monkeypatch):
    monkeypatch.setattr(overlap, "MANY", 2)
    monkeypatch.setattr(overlap.fit_step, "__kwdefaults__", {"after": 0, "step": 2})
    before = Slot.objects.count()
    page = new_page(alice, reverse("annotation:project_settings", args=[busy.slug]))
    page.get_by_label("Judgments per comparison").fill("2")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Begin").click()
    page.get_by_text("Every comparison waits for as many judgments").wait_for()
    assert Slot.objects.count() == before + 7  # one more for each that is work
    assert not actions.is_fitting(busy)
