"""The pages of snapshots in a real browser: nothing for axe-core to find, and nothing wider than the screen."""

import pytest
from django.urls import reverse

from annotation import actions
from annotation.actions.withdrawals import withdraw_work
from annotation.datasets.snapshots import choice_of, freeze_snapshot
from annotation.models import Role, SnapshotFreeze
from tests.annotation.browser.pages import PHONE, assert_accessible
from tests.annotation.judged import judge, known, make_comparison, make_project, make_user


@pytest.fixture
def snapshot():
    """Everything that a page of a snapshot may have to show."""
    project = make_project()
    version = project.guidelines_versions.create(number=2, text="Be fair.")
    sheet = {"safety": "safe", "aspects": {"clarity": 3}, "defects": ["too_long"]}
    long = make_comparison(project, ["Fruit. " * 200, "w" * 5_000], question="What is jam? " * 100)
    judge(long, "bob", [[2], [0], [1]], edit="Fruit, boiled.", marks={0: sheet, 1: sheet}, guidelines_version=version)
    judge(long, "rita", [[0], [1]], is_decision=True, all_bad=True)
    judge(make_comparison(project, ["So.", "No."]), "bob", [[0], [1]], marks={0: {"safety": "unsafe"}, 1: sheet})
    judge(make_comparison(project, ["Yes.", "No."], split="eval"), "bob", [[0], [1]])
    judge(known(make_comparison(project, ["Yes.", "No."])), "bob", [[0], [1]])
    return freeze_snapshot(project=project, name="june", kinds=["person"])


@pytest.mark.parametrize("options", [{}, PHONE, {"color_scheme": "dark"}], ids=["desktop", "phone", "dark"])
def test_the_pages_of_snapshots_are_accessible_and_fit(new_page, alice, snapshot, options):
    slug = snapshot.project.slug
    page = new_page(alice, snapshot.get_absolute_url(), **options)
    page.locator("summary", has_text="dataset card").click()
    for address in (None, "annotation:snapshot_new", "annotation:snapshots"):
        if address:
            page.goto("/".join(page.url.split("/")[:3]) + reverse(address, args=[slug]))
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.fixture
def busy(snapshot, alice):
    """One that holds withdrawn work, one in the making that failed, and another project to draw on."""
    actions.add_member(project=snapshot.project, user=alice, role=Role.MANAGER)
    make_project("Other")
    withdraw_work(annotator=make_user("bob"), reason="He asked for it, in a letter of 3 June. " * 5, by=alice)
    choice = choice_of(snapshot.project, ["person"], "july")
    task = SnapshotFreeze.objects.create(
        project=snapshot.project, name="july", asked=choice.as_json(), state="failed", failure="Choose another name.",
        done=1_234_567, total=2_345_678,
    )  # fmt: skip
    return [
        reverse("annotation:snapshots", args=[snapshot.project.slug]),
        reverse("annotation:snapshot_new", args=[snapshot.project.slug]),
        snapshot.get_absolute_url(),
        task.get_absolute_url(),
        reverse("annotation:withdraw_work", args=[make_user("bob").pk]),
        reverse("annotation:withdraw_work", args=[make_user("rita").pk]),
    ]


@pytest.mark.parametrize("options", [{}, PHONE, {"color_scheme": "dark"}], ids=["desktop", "phone", "dark"])
def test_withdrawal_and_freezing_are_accessible_and_fit(new_page, alice, busy, options):
    page = new_page(alice, busy[0], **options)
    for address in busy:
        page.goto("/".join(page.url.split("/")[:3]) + address)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_the_counts_follow_what_is_chosen(new_page, alice, snapshot):
    page = new_page(alice, reverse("annotation:snapshot_new", args=[snapshot.project.slug]))
    page.locator("#snapshot-preview strong", has_text="4 judgments").wait_for()
    page.get_by_label("Only comparisons that a reviewer decided").check()
    page.locator("#snapshot-preview strong", has_text="2 judgments").wait_for()
    page.get_by_label("Agreement, in %").fill("40")
    page.get_by_label("Agreement, in %").blur()
    page.get_by_label("person").uncheck()
    page.locator("#snapshot-preview", has_text="Choose at least one kind of judge").wait_for()
