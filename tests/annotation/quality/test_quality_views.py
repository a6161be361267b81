"""The pages of agreement and of annotators' figures."""

import csv
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from annotation import actions
from annotation.actions import reports
from annotation.figures.annotator_figures import TIMES
from annotation.models import JudgeKind, ProjectReport, Role
from annotation.quality import words as quality_words
from annotation.quality.page import FROM_SECONDS, agreement_page
from tests.annotation.judged import judge, make_comparison

pytestmark = pytest.mark.django_db
PAGES = ["quality", "quality_status", "annotators_csv"]


@pytest.fixture(autouse=True)
def announced():
    with patch("annotation.tasks.compute_report.delay") as delay:
        yield delay


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def judged(project):
    """Two dozen comparisons, judged by two people alike and by a robot; Bob always prefers the left one."""
    for _ in range(24):
        comparison = make_comparison(project, ["one answer", "another, much longer answer"])
        judge(comparison, "bob", [[0], [1]], seconds_spent=30.0, rationale="It <b>answers</b>.")
        judge(comparison, "dora", [[0], [1]], seconds_spent=30.0)
        judge(comparison, "robot", [[1], [0]], kind=JudgeKind.SIMULATED)
    return project


@pytest.fixture
def computed(judged):
    reports.compute_report(report=actions.request_report(project=judged))
    return judged


def at(name, project, *more):
    return reverse(f"annotation:{name}", args=[project.slug, *more])


def page(client, name, project, *more, query="", **headers):
    return client.get(f"{at(name, project, *more)}{query}", headers=headers)


def html_of(response):
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize("name", PAGES)
def test_reviewers_see_the_figures_and_annotators_do_not(client, computed, bob, charlie, name):
    actions.add_member(project=computed, user=charlie, role=Role.REVIEWER)
    client.force_login(charlie)
    assert page(client, name, computed).status_code in (200, 302)
    client.force_login(bob)
    assert page(client, name, computed).status_code == 403
    assert page(client, "annotator", computed, bob.pk).status_code == 403
    client.logout()
    assert page(client, name, computed).url.startswith(reverse("login"))


def test_the_page_shows_agreement_with_its_interval_and_what_it_means(staff, computed):
    html = html_of(page(staff, "quality", computed))
    assert "Krippendorff&#x27;s alpha" in html
    assert "<strong>1.00</strong>" in html
    assert "1.00 to 1.00" in html
    assert "Reliable: Krippendorff (2004) asks for 0.8." in html
    assert "2 annotators, 24 comparisons, 24 of them judged by two or more" in html
    assert "from 72 judgments" in html


def test_the_page_lists_annotators_and_what_is_worth_a_look(staff, computed, bob):
    html = html_of(page(staff, "quality", computed))
    assert f'href="{at("annotator", computed, bob.pk)}?kind=person">bob</a>' in html
    assert "Prefers the left side" in html
    assert "robot" not in html.split("Annotators</h2>")[1]


def test_another_kind_of_judge_is_a_choice_of_its_own(staff, computed):
    html = html_of(page(staff, "quality", computed, query="?kind=simulated"))
    assert ">robot</a>" in html
    assert ">bob</a>" not in html
    assert "Only one annotator has judged." in html


def test_a_kind_that_nobody_is_falls_back_to_people(staff, computed):
    assert ">bob</a>" in html_of(page(staff, "quality", computed, query="?kind=martian"))


def test_a_project_without_judgments_says_what_comes(staff, project, announced):
    html = html_of(page(staff, "quality", project))
    assert "Nothing to measure yet" in html
    assert ProjectReport.objects.count() == 0


def test_the_first_look_asks_for_figures_and_waits_for_them(staff, judged):
    html = html_of(page(staff, "quality", judged))
    assert "The first figures are on their way" in html
    assert 'hx-trigger="every 2s"' in html
    assert ProjectReport.objects.get().requested_at is not None


def test_while_nothing_changes_nothing_is_swapped(staff, judged):
    page(staff, "quality", judged)
    again = page(staff, "quality_status", judged, query="?kind=person&seen=waiting", hx_request="true")
    assert again.status_code == 204


def test_once_they_are_there_the_figures_replace_the_page(staff, judged):
    page(staff, "quality", judged)
    reports.compute_report(report=ProjectReport.objects.get())
    response = page(staff, "quality_status", judged, query="?kind=person&seen=waiting", hx_request="true")
    assert response["HX-Retarget"] == "#quality"
    assert '<div id="quality"' in html_of(response)
    assert "<html" not in response.content.decode()
    assert "every 2s" not in response.content.decode()


def test_without_script_the_status_is_the_page(staff, judged):
    assert page(staff, "quality_status", judged).url == at("quality", judged)


def test_a_worker_that_is_not_there_is_noticed(staff, judged):
    page(staff, "quality", judged)
    ProjectReport.objects.update(requested_at=timezone.now() - timedelta(minutes=2, seconds=5))
    html = html_of(page(staff, "quality_status", judged, query="?seen=waiting", hx_request="true"))
    assert "Asked for 2 minutes ago, and no worker has begun. Is a worker running?" in html


def test_an_error_is_shown_with_what_to_do(staff, judged):
    ProjectReport.objects.create(project=judged, error="MemoryError: <no> room")
    html = html_of(page(staff, "quality", judged))
    assert 'role="alert"' in html
    assert "MemoryError: &lt;no&gt; room. Try again" in html
    assert "Compute again" in html
    assert ProjectReport.objects.get().requested_at is None


def test_computing_again_is_a_button(staff, computed):
    response = staff.post(at("quality_update", computed), {"kind": "simulated"})
    assert response.url == f"{at('quality', computed)}?kind=simulated"
    assert ProjectReport.objects.get().requested_at is not None
    assert staff.get(at("quality_update", computed)).status_code == 405


def test_an_annotators_page_has_their_figures_and_rationales(staff, computed, bob):
    html = html_of(page(staff, "annotator", computed, bob.pk))
    assert "<h1>bob</h1>" in html
    assert "Prefers the left side" in html
    assert "Chance: 50 % (dashed)." in html
    assert 'aria-label="Ranked on top, by where it was shown. 1: 100, 2: 0"' in html
    assert "It &lt;b&gt;answers&lt;/b&gt;." in html


def test_an_annotator_without_a_rationale_has_none_shown(staff, computed):
    dora = User.objects.get(username="dora")
    assert "None was written." in html_of(page(staff, "annotator", computed, dora.pk))


def test_a_robots_page_is_found_whatever_kind_is_asked_for(staff, computed):
    robot = User.objects.get(username="robot")
    assert "simulated annotator" in html_of(page(staff, "annotator", computed, robot.pk, query="?kind=person"))


def test_who_never_judged_here_has_no_page(staff, computed, charlie):
    assert page(staff, "annotator", computed, charlie.pk).status_code == 404


def test_who_judged_since_the_figures_were_computed_is_told_so(staff, project, bob):
    judge(make_comparison(project, ["one", "two"]), "bob", [[0], [1]])
    html = html_of(page(staff, "annotator", project, bob.pk))
    assert "The figures are not there yet" in html
    assert ProjectReport.objects.get().requested_at is not None


def test_a_member_who_judged_nothing_has_a_page_that_says_so(staff, project, bob):
    assert "No judgment yet" in html_of(page(staff, "annotator", project, bob.pk))


def test_the_file_has_a_row_for_each_annotator_of_any_kind(staff, computed):
    response = page(staff, "annotators_csv", computed)
    assert response["Content-Disposition"] == 'attachment; filename="capitals-annotators.csv"'
    rows = {row["annotator"]: row for row in csv.DictReader(response.content.decode().splitlines())}
    assert set(rows) == {"bob", "dora", "robot"}
    assert (rows["bob"]["kind"], rows["bob"]["judgments"], rows["bob"]["first"]) == ("person", "24", "1.0")
    assert rows["bob"]["warnings"] == "position"
    assert rows["robot"]["agreement"] == ""


def test_a_name_that_looks_like_a_formula_is_none(staff, computed, bob):
    User.objects.filter(pk=bob.pk).update(username="+1")
    assert "'+1,person" in page(staff, "annotators_csv", computed).content.decode()


def test_the_page_reads_a_few_rows_whatever_the_number_of_judgments(staff, computed, django_assert_max_num_queries):
    with django_assert_max_num_queries(10):
        page(staff, "quality", computed)


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "low", "words"),
    [
        (0.85, 0.82, "Reliable: Krippendorff (2004) asks for 0.8."),
        (0.85, 0.7, "The interval reaches below that."),
        (0.7, 0.6, "tentative"),
        (0.1, None, "Below 0.667"),
    ],
)
def test_alpha_is_read_as_krippendorff_reads_it(value, low, words):
    assert words in quality_words.meaning("alpha", value, low)


@pytest.mark.parametrize(("value", "word"), [(-0.1, "no better"), (0.2, "slight"), (0.55, "moderate"), (1, "almost")])
def test_kappa_is_read_by_landis_and_koch(value, word):
    assert word in quality_words.meaning("fleiss", value, None)


def test_tau_is_read_as_pairs_in_the_same_order():
    assert "about 50 of 100 pairs" in quality_words.meaning("tau", 0, None)


def test_a_figure_that_nobody_knows_is_an_error():
    with pytest.raises(ValueError, match="no figure"):
        quality_words.meaning("rho", 0, None)


def test_the_axis_reaches_below_zero_only_where_something_does():
    figure = {"key": "tau", "value": 0.1, "low": 0.05, "high": 0.2, "reason": ""}
    assert ticks(figure) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert ticks(figure | {"low": -0.1}) == ["\N{MINUS SIGN}1", "\N{MINUS SIGN}0.5", "0", "0.5", "1"]


def test_a_share_is_drawn_from_0_to_100_percent_whatever_lies_below_zero():
    tau = {"key": "tau", "value": -0.1, "low": -0.2, "high": 0.2, "reason": ""}
    share = {"key": "share", "value": 0.5, "low": 0.4, "high": 0.6, "reason": ""}
    rows = agreement_page([tau, share]).rows
    assert [tick.label for tick in rows[1].ticks] == ["0 %", "25 %", "50 %", "75 %", "100 %"]
    assert rows[1].drawn.value == rows[1].ticks[2].position
    assert rows[0].value == "\N{MINUS SIGN}0.10"


def ticks(figure):
    return [tick.label for tick in agreement_page([figure]).rows[0].ticks]


def test_the_bars_of_times_begin_where_they_are_counted():
    assert ("0", *map(str, TIMES)) == FROM_SECONDS
