"""The start page and the page of a project: how far it is, how fast, and who works."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation import actions
from annotation.models import Judgment, Project, Role, Slot
from annotation.projects import overview
from annotation.projects.pace import in_words, pace_of

pytestmark = pytest.mark.django_db
MANAGED = [
    "project", "project_settings", "project_pause", "members", "open_comparisons", "history", "fit",
]  # fmt: skip


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


def at(name, project):
    return reverse(f"annotation:{name}", args=[project.slug])


def submit(assignment, annotator):
    answer = actions.Answer([assignment.display_order])
    return actions.submit_judgment(assignment=assignment, annotator=annotator, answer=answer, request_key=uuid.uuid4())


def test_home_shows_an_annotator_their_projects_only(client, project, bob, alice):
    Project.objects.create(name="Secret", slug="secret")
    client.force_login(bob)
    html = client.get("/").content.decode()
    assert "Capitals" in html
    assert "Secret" not in html
    assert "Import prompts" not in html


def test_home_shows_staff_every_project_and_the_loop(staff, project):
    Project.objects.create(name="Secret", slug="secret")
    html = staff.get("/").content.decode()
    assert "Secret" in html
    assert "Import prompts" in html


def test_home_without_a_project_says_what_to_do(client, charlie):
    client.force_login(charlie)
    assert "adds you by your username" in client.get("/").content.decode()


def test_home_asks_for_sign_in(client, db):
    assert client.get("/").status_code == 302
    assert client.post("/").status_code == 405


def test_home_counts_what_is_done(client, project, held, bob):
    client.force_login(bob)
    assert "0 of 1 judgments" in client.get("/").content.decode()


@pytest.mark.parametrize("name", MANAGED)
def test_annotators_see_no_managers_page(client, project, bob, name):
    client.force_login(bob)
    assert client.get(at(name, project)).status_code == 403


@pytest.mark.parametrize("name", MANAGED)
def test_the_anonymous_are_sent_to_sign_in(client, project, name):
    assert client.get(at(name, project)).url.startswith(reverse("login"))


@pytest.mark.parametrize("name", MANAGED)
def test_managers_see_their_pages(client, project, comparison, charlie, name):
    project.memberships.create(user=charlie, role="manager")
    client.force_login(charlie)
    response = client.get(at(name, project))
    assert response.status_code == 200
    assert "Capitals" in response.content.decode()


def test_the_project_page_counts_judgments_by_annotator_and_kind(staff, project, held, bob):
    import uuid

    from annotation import actions

    actions.submit_judgment(
        assignment=held, annotator=bob, answer=actions.Answer([held.display_order]), request_key=uuid.uuid4()
    )
    html = staff.get(project.get_absolute_url()).content.decode()
    assert "of 1 judgments" in html
    assert ">bob</a>" in html


def test_an_unknown_project_is_not_found(staff):
    assert staff.get("/projects/nowhere/").status_code == 404


def test_an_empty_project_says_what_to_do_first(staff, project):
    html = staff.get(project.get_absolute_url()).content.decode()
    assert "No comparison is open" in html
    assert at("open_comparisons", project) in html


def test_where_nobody_annotates_the_next_step_is_to_invite_people(client, project, comparison, alice, bob):
    client.force_login(alice)
    assert "Nobody annotates yet" not in client.get(at("project", project)).content.decode()
    actions.remove_member(project=project, user=bob)
    html = client.get(at("project", project)).content.decode()
    assert "Nobody annotates yet" in html
    (first, *_) = re.findall(r'btn-primary"\s+href="([^"]+)"', html)
    assert first == at("members", project)


def test_the_bars_of_annotators_are_held_against_the_busiest(staff, project, held, bob):
    submit(held, bob)
    html = staff.get(at("project", project)).content.decode()
    assert re.search(r'<progress value="1"\s+max="1"\s+aria-label="Judgments by bob', html)


def test_home_leads_to_what_there_is_to_do(client, project, held, bob, charlie):
    def primary():
        return re.findall(r'btn-primary[^>]*?aria-label="([^"]+)"|aria-label="([^"]+)"[^>]*btn-primary', page())

    def page():
        return client.get("/").content.decode()

    actions.add_member(project=project, user=charlie, role=Role.REVIEWER)
    client.force_login(charlie)
    assert [max(each) for each in primary()] == ["Review Capitals"]
    client.force_login(bob)
    assert [max(each) for each in primary()] == ["Annotate Capitals"]
    submit(held, bob)
    assert primary() == []
    assert "all 1 judgment is there" in page()


def test_the_overview_shows_who_works_now(staff, project, held):
    html = staff.get(project.get_absolute_url()).content.decode()
    assert '<span class="badge">bob</span>' in html
    assert "None in the last two weeks." in html


def test_a_lease_that_ran_out_is_nobodys_work(project, held):
    type(held).objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert not overview.working_now(project)


def test_work_is_counted_and_nothing_else(project, write, alice):
    actions.open_comparisons(project=project, completions=write(prompts=3), k=4)
    first, second, _ = project.comparisons.all()
    project.comparisons.filter(pk=first.pk).update(purpose="gold", known_ranking=[[1], [2]])
    Slot.objects.filter(comparison=first).delete()
    project.comparisons.filter(pk=second.pk).update(withdrawn_at=timezone.now())
    Slot.objects.filter(comparison=second).update(is_parked=True)
    counts = overview.counts_of(project)
    assert (counts.comparisons, counts.filled, counts.open) == (1, 0, 1)
    assert overview.known_answers(project) == {"gold": 1}


def test_a_large_project_is_counted_once_a_minute(project, comparison, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(overview, "MANY", 0)
    first = overview.counts_of(project)
    Slot.objects.all().delete()
    with django_assert_max_num_queries(1):  # whether it is large
        assert overview.counts_of(project) == first


def test_the_overview_asks_as_many_questions_for_ten_comparisons_as_for_one(
    staff, project, write, bob, django_assert_max_num_queries
):
    actions.open_comparisons(project=project, completions=write(prompts=10), k=4)
    for _ in range(9):
        submit(actions.claim_next(project=project, annotator=bob), bob)
    with django_assert_max_num_queries(35):
        html = staff.get(project.get_absolute_url()).content.decode()
    assert "Judgments by hour" in html
    assert "of 10 judgments" in html


def test_a_correction_is_not_one_more_judgment_of_the_day(project, held, bob):
    submit(held, bob)
    submit(held, bob)
    assert [number for _, number in overview.given_by_hour(project)] == [1]
    (row,) = overview.by_annotator(project)
    assert (row["judgments"], row["corrections"]) == (1, 1)


def test_a_plot_goes_by_hour_first_and_then_by_day():
    now = datetime(2026, 5, 20, 15, 30, tzinfo=UTC)
    plot = overview.plot([(now.replace(minute=0) - timedelta(hours=3), 7)], now)
    assert plot.chart.title == "Judgments by hour"
    assert [bar.words for bar in plot.chart.bars if not bar.words.endswith(": 0")] == ["12:00: 7"]
    assert len(plot.chart.bars) == 12

    plot = overview.plot([(now.replace(minute=0) - timedelta(days=3), 7), (now.replace(minute=0), 2)], now)
    assert [bar.words for bar in plot.chart.bars][-4:] == ["17 May: 7", "18 May: 0", "19 May: 0", "20 May: 2"]
    assert overview.plot([], now) is None


def test_judgments_are_put_to_the_hour_in_which_they_were_given(project, held, bob):
    submit(held, bob)
    Judgment.objects.update(created_at=timezone.now() - timedelta(days=2))
    ((hour, number),) = overview.given_by_hour(project)
    assert (hour.minute, number) == (0, 1)
    assert timedelta(days=2) <= timezone.now() - hour <= timedelta(days=2, hours=1)


# The pace: pencil work


def test_the_time_left_is_what_is_open_over_the_mean_rate():
    now = datetime(2026, 5, 20, 12, tzinfo=UTC)
    given = [(now - timedelta(days=2), 30), (now - timedelta(hours=1), 10)]
    pace = pace_of(given, 100, now, days=7)
    assert pace.a_day == 20  # 40 in the two days since the first one
    assert pace.left == timedelta(days=5)
    assert pace.over == timedelta(days=2)


def test_what_was_given_before_the_last_days_says_nothing_of_now():
    now = datetime(2026, 5, 20, 12, tzinfo=UTC)
    assert pace_of([(now - timedelta(days=8), 1000)], 5, now, days=7) is None
    assert pace_of([(now - timedelta(hours=1), 4)], 5, now, days=7) is None  # four are too few


def test_the_rate_of_the_first_minutes_is_not_blown_up():
    now = datetime(2026, 5, 20, 12, 5, tzinfo=UTC)
    assert pace_of([(now.replace(minute=0), 10)], 5, now, days=7).a_day == 240  # as if within an hour


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=1), "1 minute"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(minutes=60), "60 minutes"),
        (timedelta(hours=5), "5 hours"),
        (timedelta(days=12), "12 days"),
        (timedelta(days=30), "4 weeks"),
        (timedelta(days=4000), "11 years"),
    ],
)
def test_a_span_is_said_in_the_unit_that_a_person_would_use(span, words):
    assert in_words(span) == words
