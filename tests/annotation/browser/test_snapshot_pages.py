"""The pages of snapshots in a real browser: nothing for axe-core to find, and nothing wider than the screen."""

import pytest
from django.urls import reverse

from annotation.datasets.snapshots import freeze_snapshot
from tests.annotation.browser.pages import PHONE, assert_accessible
from tests.annotation.judged import judge, known, make_comparison, make_project


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
