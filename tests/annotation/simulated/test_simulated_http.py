"""Simulated annotators against the running site."""

import re

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from annotation.actions import add_member, create_project, open_comparisons
from annotation.models import JudgeKind, Judgment, Membership, Role
from annotation.simulated.annotators import ANNOTATORS, Ranking, rank
from annotation.simulated.over_http import (
    HttpAnnotator,
    SimulatedAnnotatorFailed,
    accounts,
    annotate,
    left_to_judge,
    names,
    without_ties,
)
from sampling.models import Completion
from tests.annotation.judged import make_comparison, make_project, make_user

pytestmark = pytest.mark.django_db(transaction=True)

ANSWERS = [
    "Jam is fruit boiled with sugar until it sets.",
    "As an AI, I am glad to help! Great question! Great question! Great question!",
    "Jam is a sweet spread, and it is made of fruit that was boiled, and then the",
]


def opened_project(questions: int, **settings):
    """A project whose comparisons were opened by the product's own action."""
    for number in range(questions):
        make_comparison(make_project(f"Source {number}"), ANSWERS, question=f"What is jam number {number}?")
    project = create_project(name="Demo", overlap=3, created_by=make_user("alice", is_staff=True), **settings)
    open_comparisons(project=project, completions=Completion.objects.all(), k=3)
    return project


def test_three_annotators_rank_everything_and_are_recorded_as_simulated(live_server):
    project = opened_project(4)
    told = []
    judged = annotate(project=project, url=live_server.url, on_progress=lambda *each: told.append(each))
    assert judged == 12 == Judgment.objects.count()
    assert set(Judgment.objects.values_list("kind", flat=True)) == {"simulated"}
    assert told[-1] == (12, 12)
    assert left_to_judge(project) == 0
    by_annotator = Judgment.objects.values_list("annotator__username", "comparison")
    assert len(set(by_annotator)) == 12


def test_a_judgment_is_what_the_rules_say_of_the_texts(live_server):
    project = opened_project(2)
    annotate(project=project, url=live_server.url)
    for judgment in Judgment.objects.select_related("annotator", "comparison__prompt"):
        texts = dict(judgment.comparison.completions.values_list("pk", "text"))
        ids = list(texts)
        expected = rank(
            judgment.annotator.username,
            judgment.comparison.prompt.messages,
            [texts[pk] for pk in ids],
            seed=17,
        )
        assert [set(group) for group in judgment.ranking] == [
            {ids[index] for index in group} for group in expected.groups
        ]
        assert judgment.strengths == expected.strengths
        assert judgment.seconds_spent is not None


def test_a_second_start_goes_on_where_the_first_stopped(live_server):
    project = opened_project(2)
    assert annotate(project=project, url=live_server.url) == 6
    assert annotate(project=project, url=live_server.url) == 0
    for number in range(2):
        make_comparison(make_project(f"More {number}"), ANSWERS, question=f"What is tea number {number}?")
    open_comparisons(project=project, completions=Completion.objects.all(), k=3)
    assert left_to_judge(project) == 6
    assert annotate(project=project, url=live_server.url) == 6


def test_a_project_without_ties_and_strengths_is_judged_too(live_server):
    project = opened_project(2, allow_ties=False, strength_scale="none")
    assert annotate(project=project, url=live_server.url) == 6
    assert all(len(group) == 1 for judgment in Judgment.objects.all() for group in judgment.ranking)


def test_only_strengths_of_the_projects_scale_are_given(live_server):
    project = opened_project(2, allow_ties=False, strength_scale="helpsteer3")
    assert annotate(project=project, url=live_server.url) == 6
    given = {strength for judgment in Judgment.objects.all() for strength in judgment.strengths}
    assert given <= {"significantly_better", "better", "slightly_better"}


def test_what_need_not_be_answered_is_left_empty(live_server):
    project = opened_project(
        1, allow_all_bad=True, allow_edits=True, defects=[{"key": "wrong", "label": "Wrong"}], show_length=True
    )  # fmt: skip
    assert annotate(project=project, url=live_server.url) == 3
    for judgment in Judgment.objects.all():
        assert not judgment.all_bad
        assert judgment.rationale == ""
        assert all(mark == {"defects": []} for mark in judgment.marks.values())
        assert len(judgment.marks) == sum(len(group) for group in judgment.ranking) == 3


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"ask_safety": True}, "a safety mark"),
        ({"aspects": [{"key": "tone", "label": "Tone"}]}, r"ratings \(Tone\)"),
        ({"rationale": "required"}, "a rationale"),
    ],
)
def test_what_they_cannot_answer_is_named_before_anything_is_done(setting, named):
    project = opened_project(1, **setting)
    with pytest.raises(SimulatedAnnotatorFailed, match=f'"Demo" asks for {named}.*settings'):
        annotate(project=project, url="http://127.0.0.1:9")
    assert not Membership.objects.filter(kind=JudgeKind.SIMULATED).exists()


def test_feedback_on_a_training_item_is_not_the_end_of_the_work(live_server):
    project = opened_project(2)
    training = project.comparisons.first()
    ids = list(training.completions.values_list("pk", flat=True))
    training.slots.all().delete()
    project.comparisons.filter(pk=training.pk).update(purpose="training", known_ranking=[[pk] for pk in ids])
    assert left_to_judge(project) == 3
    assert annotate(project=project, url=live_server.url) == 6  # three for training, three for work
    assert left_to_judge(project) == 0


def test_a_lower_overlap_leaves_nothing_open_and_nothing_judged_twice(live_server):
    project = opened_project(3)
    project.slots.filter(number=3).delete()
    assert left_to_judge(project) == 6
    assert annotate(project=project, url=live_server.url) == 6


def test_a_paused_project_is_left_alone(live_server):
    project = opened_project(1)
    type(project).objects.update(is_paused=True)
    assert annotate(project=project, url=live_server.url) == 0


def test_the_accounts_are_simulated_members_and_cannot_sign_in_afterwards(live_server):
    project = opened_project(1)
    annotate(project=project, url=live_server.url)
    for name in names():
        user = User.objects.get(username=name)
        assert not user.has_usable_password()
        assert not user.is_staff
        assert Membership.objects.get(user=user, project=project).kind == JudgeKind.SIMULATED


def test_an_account_of_that_name_that_is_a_persons_is_not_taken_over(live_server):
    project = opened_project(1)
    person = make_user("sim-brief")
    person.set_password("a person's own")
    person.save()
    add_member(project=project, user=person, role=Role.ANNOTATOR)
    with pytest.raises(SimulatedAnnotatorFailed, match='"sim-brief" belongs to a person'):
        annotate(project=project, url=live_server.url)
    person.refresh_from_db()
    assert person.check_password("a person's own")
    assert not Judgment.objects.exists()


def test_a_wrong_password_says_what_the_page_says(live_server):
    project = opened_project(1)
    with accounts(project):
        annotator = HttpAnnotator(name="sim-brief", url=live_server.url)
        with annotator.client, pytest.raises(SimulatedAnnotatorFailed, match=r"could not sign in: .*correct"):
            annotator.sign_in(f"/projects/{project.slug}/annotate/", "wrong")


def test_an_account_without_membership_is_told_the_pages_words(live_server):
    project = opened_project(1)
    with accounts(project) as passwords:
        Membership.objects.filter(user__username="sim-brief").delete()
        annotator = HttpAnnotator(name="sim-brief", url=live_server.url)
        with (
            annotator.client,
            pytest.raises(SimulatedAnnotatorFailed, match=r"answered 403 to sim-brief: Not yours to see"),
        ):
            annotator.sign_in(f"/projects/{project.slug}/annotate/", passwords["sim-brief"])


def test_a_refused_answer_ends_the_work_with_the_pages_words(live_server, monkeypatch):
    project = opened_project(1)
    # Two of three completions are given a place.
    unfinished = {"rank_A": "1", "rank_B": "2"}
    monkeypatch.setattr(HttpAnnotator, "answer", lambda self, page, form: {**form.fields, **unfinished})
    with pytest.raises(SimulatedAnnotatorFailed, match=r"submit/ answered 422 to sim-\w+: .*rank"):
        annotate(project=project, url=live_server.url)
    assert not Judgment.objects.exists()


def test_a_site_that_is_not_there_is_named_in_the_error(db):
    project = opened_project(1)
    with pytest.raises(SimulatedAnnotatorFailed, match=r"Is the site running at http://127\.0\.0\.1:9"):
        annotate(project=project, url="http://127.0.0.1:9")


def test_a_page_that_shows_no_raw_texts_is_an_error_and_no_judgment():
    form = '<form action="/submit/"><input name="request_key" value="k"></form>'
    pages = {"/": '<form action="/in/"><input name="username"><input name="password"></form>', "/in/": form}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=pages[request.url.path]))
    annotator = HttpAnnotator(name="sim-brief", url="http://site", transport=transport)
    with annotator.client:
        page = annotator.sign_in("/", "secret")
        with pytest.raises(SimulatedAnnotatorFailed, match="0 completions and 0 turns"):
            annotator._answer_form(page)


def test_breaking_ties_keeps_the_order_and_adds_only_negligible_gaps():
    assert without_ties(Ranking([[2, 0], [1], [4, 3]], ["better", "significantly_better"])) == Ranking(
        [[2], [0], [1], [4], [3]],
        ["negligibly_better", "better", "significantly_better", "negligibly_better"],
    )


def test_the_command_says_in_one_line_what_was_done(live_server, capsys):
    opened_project(2)
    call_command("simulate_annotators", project="demo", url=live_server.url)
    said = capsys.readouterr().out
    assert re.search(r"^6 judgments by 3 simulated annotators in \d+ s .* 0 are left for them\.$", said, re.M)


def test_the_command_turns_a_failure_into_words(db):
    opened_project(1)
    with pytest.raises(CommandError, match="Is the site running"):
        call_command("simulate_annotators", project="demo", url="http://127.0.0.1:9")


def test_there_are_three_of_them():
    assert names() == list(ANNOTATORS) == ["sim-brief", "sim-plain", "sim-noisy"]
