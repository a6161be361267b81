"""What the pages of a project make of imported judgments: shown beside what is judged here, and never mixed with it."""

import uuid
from itertools import combinations
from unittest.mock import patch

import pytest
from django.urls import reverse

from annotation import actions
from annotation.actions import reports, review
from annotation.figures import report
from annotation.models import AssignmentPurpose, Judgment, ProjectReport, Role
from annotation.projects import overview
from annotation.projects.member_forms import MemberForm
from annotation.review import listing
from annotation.review.page import review_of
from sampling.intake.records import JudgedBy
from tests.annotation.importing.bring import an_import, bring, prefers, record
from tests.annotation.judged import judge, make_comparison

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def announced():
    with patch("annotation.tasks.compute_report.delay") as delay:
        yield delay


@pytest.fixture
def staff(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def brought(project):
    """Twelve comparisons of two writers, judged elsewhere by two people who mostly prefer the first, and by votes."""
    rows = [
        record(
            prefers(0, 1, annotator="dora", day=1, strengths=("slightly_better",), rationale="It <b>answers</b>."),
            prefers(*((1, 0) if n % 4 == 0 else (0, 1)), annotator="erik", day=2),
            prefers((0, 1), by=JudgedBy.VOTES),
            texts=[("A long answer, as asked.", "large"), ("No.", "small")],
            question=f"Question {n}?",
        )
        for n in range(12)
    ]
    bring(an_import(project, "crowd.jsonl"), rows)
    return project


@pytest.fixture
def computed(brought):
    reports.compute_report(report=actions.request_report(project=brought))
    return brought


def at(name, *args):
    return reverse(f"annotation:{name}", args=args)


def html_of(response):
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


# --- figures ---------------------------------------------------------------------------------------------------------


def test_an_imported_judgment_has_no_place_on_a_page_and_no_time(computed):
    kind = ProjectReport.objects.get(project=computed).content["kinds"]["imported"]
    assert (kind["judgments"], kind["annotators"], kind["judged_twice"]) == (36, 3, 12)
    for person in kind["by_annotator"]:
        assert person["first"] is None
        assert person["positions"] == []
        assert person["seconds"] is None
        assert person["agreement"]["rows"] == 12


def test_what_is_judged_here_keeps_its_places_beside_what_is_not(brought, bob):
    for _ in range(10):
        judge(make_comparison(brought, ["one answer", "another one"]), "bob", [[0], [1]])
    person = report.compute(brought)["kinds"]["person"]["by_annotator"][0]
    assert person["first"]["value"] == 1
    assert person["positions"] == [1, 0]


def test_the_quality_page_shows_imported_figures_under_pseudonyms(staff, computed):
    html = html_of(staff.get(at("quality", computed.slug)))  # nobody judged here: the only kind there is
    assert "3 annotators, 12 comparisons, 12 of them judged by two or more" in html
    assert html.split("Annotators</h2>")[1].count(">imported-") == 3
    assert "dora" not in html
    assert "not measured" in html


def test_win_rates_are_shown_to_managers_and_not_to_reviewers(client, computed, alice, charlie):
    """Large: 12 + 9 wins, 3 losses, 12 ties: (21 + 6) / 36 = 75 %."""
    actions.add_member(project=computed, user=charlie, role=Role.REVIEWER)
    client.force_login(alice)
    html = html_of(client.get(at("quality", computed.slug)))
    assert '<bdi>large</bdi> <span class="muted">against</span> <bdi>small</bdi>' in html
    assert "<strong>75 %</strong>" in html
    assert "large wins" in html
    client.force_login(charlie)
    html = html_of(client.get(at("quality", computed.slug)))
    assert "Krippendorff" in html
    assert "Win rates" not in html
    assert "large" not in html.replace("larger", "")


def test_more_than_three_writers_are_a_matrix(staff, project):
    writers = ["ant", "bee", "cow", "<b>dog</b>"]
    rows = [
        record(prefers(0, 1, annotator="dora"), texts=[("Yes.", one), ("No.", other)], question=f"{one} {other} {n}?")
        for one, other in combinations(writers, 2)
        for n in range(10)
    ]
    bring(an_import(project), rows)
    reports.compute_report(report=actions.request_report(project=project))
    html = html_of(staff.get(at("quality", project.slug)))
    assert '<abbr title="ant">1</abbr>' in html
    assert 'title="cow against bee: 0 %, 0 to 0 %, of 10 pairs"' in html
    assert "&lt;b&gt;dog&lt;/b&gt;" in html
    assert "Every pair with its intervals" in html


def test_an_imported_annotators_page_has_their_figures_and_no_name(staff, computed):
    annotator = Judgment.objects.exclude(rationale="").first().annotator
    html = html_of(staff.get(at("annotator", computed.slug, annotator.pk)))
    assert annotator.username in html
    assert "time was not measured" in html
    assert "It &lt;b&gt;answers&lt;/b&gt;." in html
    assert "Ranked on top, by where it was shown" not in html


def test_the_file_of_annotators_has_the_imported_ones(staff, computed):
    lines = staff.get(at("annotators_csv", computed.slug)).content.decode().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["imported"] * 3


# --- review ----------------------------------------------------------------------------------------------------------


def test_a_comparison_shows_who_judged_it_elsewhere_and_what_they_said(staff, brought):
    comparison = brought.comparisons.first()
    shown = review_of(comparison, with_policies=True)
    assert (shown.here, shown.imported, len(shown.columns)) == (0, 3, 3)
    assert {completion.policy for completion in shown.completions} == {"large", "small"}
    html = html_of(staff.get(at("comparison", comparison.pk)))
    assert "3 imported judgments" in html
    assert "0 judgments" not in html
    assert "a person, <a href" in html
    assert "crowd.jsonl" in html
    assert "slightly better" in html
    assert "Saw" not in html
    assert "1 Jun 2024" in html
    assert html.count("<dt>Given</dt>") == 2
    assert html.count("<dt>Imported</dt>") == 1  # the votes have no time
    assert "3 imported annotators disagree" in html or "is the split of 3 imported annotators" in html


def test_the_list_counts_imported_judgments_beside_ours(staff, brought):
    comparison = brought.comparisons.first()
    judge(comparison, "bob", [[0], [1]])
    (row,) = listing.rows([comparison.pk], "imported")
    assert (row.judgments, row.imported, row.disagreement.differing) == (1, 3, 3)
    assert listing.next_disagreement(brought, "imported") is not None
    assert listing.next_disagreement(brought, "person") is None
    html = html_of(staff.get(f"{at('comparisons', brought.slug)}?kind=imported&order=disagreement"))
    assert "3&nbsp;imported" in html
    assert "Disagreement among imported annotators" in html


def test_a_reviewer_decides_what_was_judged_elsewhere(client, brought, charlie):
    actions.add_member(project=brought, user=charlie, role=Role.REVIEWER)
    client.force_login(charlie)
    comparison = brought.comparisons.first()
    response = client.post(at("decide", comparison.pk))
    assert response.status_code == 302
    held = charlie.assignments.get(purpose=AssignmentPurpose.REVIEW)
    assert client.get(held.get_absolute_url()).status_code == 200
    answer = actions.Answer([[pk] for pk in held.display_order], ["better"])
    judgment = actions.submit_judgment(assignment=held, annotator=charlie, answer=answer, request_key=uuid.uuid4())
    assert judgment.is_decision
    shown = review_of(comparison)
    assert (len(shown.decisions), shown.imported, shown.here) == (1, 3, 0)


def test_a_reviewer_asks_another_annotator_for_what_was_judged_elsewhere(client, brought, bob, charlie):
    actions.add_member(project=brought, user=charlie, role=Role.REVIEWER)
    client.force_login(charlie)
    comparison = brought.comparisons.first()
    html = html_of(client.get(at("comparison", comparison.pk)))
    assert 'name="wanted" value="1"' in html
    for _ in range(2):  # a double click is one
        response = client.post(at("ask_another", comparison.pk), {"wanted": "1"}, follow=True)
        assert "waits for 1 judgment beside the imported ones" in html_of(response)
    assert "0 judgments of 1, 3 imported judgments" in html_of(client.get(at("comparison", comparison.pk)))
    held = actions.claim_next(project=brought, annotator=bob)
    assert held.comparison == comparison
    answer = actions.Answer([held.display_order])
    actions.submit_judgment(assignment=held, annotator=bob, answer=answer, request_key=uuid.uuid4())
    assert actions.claim_next(project=brought, annotator=bob) is None
    shown = review_of(comparison)
    assert (shown.here, shown.imported) == (1, 3)


def test_a_withdrawn_and_restored_import_waits_for_nobody(brought, alice):
    comparison = brought.comparisons.first()
    review.withdraw(comparison=comparison, reason="for a test", by=alice)
    review.restore(comparison=comparison, reason="for a test", by=alice)
    assert brought.slots.count() == 0


# --- overview --------------------------------------------------------------------------------------------------------


def test_what_was_judged_elsewhere_is_no_work_done_here(staff, brought):
    counts = overview.counts_of(brought)
    assert (counts.comparisons, counts.filled, counts.open, counts.imported) == (12, 0, 0, 36)
    assert overview.given_by_hour(brought) == []
    assert list(overview.by_annotator(brought)) == []
    html = html_of(staff.get(brought.get_absolute_url()))
    assert "imported judgments" in html
    assert "Everything was judged elsewhere" in html
    assert "% done" not in html
    assert "36 imported judgments" in html_of(staff.get("/"))


def test_beside_work_of_ours_it_is_a_number_of_its_own(staff, brought):
    judge(make_comparison(brought, ["one answer", "another one"]), "bob", [[0], [1]])
    counts = overview.counts_of(brought)
    assert (counts.comparisons, counts.filled, counts.imported) == (13, 1, 36)
    html = html_of(staff.get(brought.get_absolute_url()))
    assert "100 % done" in html
    assert "imported judgments" in html


def test_nobody_is_made_a_member_as_an_imported_annotator(brought, bob):
    form = MemberForm({"username": "bob", "role": "annotator", "kind": "imported"})
    assert "kind" in form.errors
    stand_in = Judgment.objects.first().annotator
    assert "username" in MemberForm({"username": stand_in.username, "role": "annotator", "kind": "person"}).errors
