"""What an answer may say beside its ranking: marks, "all are bad", a better answer, a rationale."""

import uuid

import pytest

from annotation import actions
from annotation.actions import Answer, Basis, Edit
from annotation.models import Assignment, Judgment, Project
from annotation.rules.marks import Mark, MarksError, Safety
from annotation.rules.ranking import EDIT, RankingError
from sampling.models import Completion, Origin

pytestmark = pytest.mark.django_db

HELPFULNESS = {"key": "helpfulness", "label": "Helpfulness", "lowest": 0, "highest": 4}
HALLUCINATION = {"key": "hallucination", "label": "Hallucination"}


@pytest.fixture
def submit(held, bob):
    """submit(**said): Bob's answer, everything on its own rank unless it is said otherwise."""

    def submit(**said):
        answer = {"ranking": [[pk] for pk in held.display_order]} | said
        return actions.submit_judgment(
            assignment=held, annotator=bob, answer=Answer(**answer), request_key=uuid.uuid4()
        )  # fmt: skip

    return submit


def with_edit_on_top(held, of=0, text="Better."):
    groups = [[EDIT], *([pk] for pk in held.display_order)]
    return {"ranking": groups, "edit": Edit(of=held.display_order[of], text=text)}


# Marks


def test_marks_are_kept_by_completion(submit, held):
    Project.objects.update(ask_safety=True, aspects=[HELPFULNESS], defects=[HALLUCINATION])
    marks = {pk: Mark(Safety.SAFE, {"helpfulness": 0}, ()) for pk in held.display_order}
    last = held.display_order[-1]
    marks[last] = Mark(Safety.UNSAFE, {"helpfulness": 4}, ("hallucination",))
    judgment = submit(marks=marks)
    assert judgment.marks[str(last)] == {
        "safety": "unsafe", "aspects": {"helpfulness": 4}, "defects": ["hallucination"],
    }  # fmt: skip
    assert len(judgment.marks) == 4


def test_what_is_not_asked_is_not_kept(submit, held):
    assert submit(marks={pk: Mark() for pk in held.display_order}).marks == {}


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (Mark(aspects={"helpfulness": 1}), "B has no safety mark yet"),
        (Mark(Safety.SAFE), "B is not rated for Helpfulness yet"),
        (Mark(Safety.SAFE, {"helpfulness": 5}), "B has 5 for Helpfulness, which runs from 0 to 4"),
        (Mark(Safety.SAFE, {"helpfulness": 1, "wit": 1}), 'B is marked "wit"'),
        (Mark(Safety.SAFE, {"helpfulness": 1}, ("wit",)), 'B is marked "wit"'),
    ],
)
def test_a_mark_that_is_missing_or_strange_is_said_by_the_completions_own_letter(submit, held, mark, message):
    Project.objects.update(ask_safety=True, aspects=[HELPFULNESS], defects=[HALLUCINATION])
    marks = {pk: Mark(Safety.SAFE, {"helpfulness": 1}) for pk in held.display_order}
    with pytest.raises(MarksError, match=message):
        submit(marks=marks | {held.display_order[1]: mark})
    assert not Judgment.objects.exists()


# All are bad


def test_all_may_be_bad_and_tied_even_where_ties_are_not_allowed(submit, held):
    Project.objects.update(allow_all_bad=True, allow_ties=False)
    judgment = submit(ranking=[held.display_order], all_bad=True)
    assert judgment.all_bad
    assert (judgment.ranking, judgment.strengths) == ([held.display_order], [])


def test_all_bad_is_refused_where_it_is_not_offered(submit):
    with pytest.raises(RankingError, match='does not offer "all are bad"'):
        submit(all_bad=True)


# A better answer


def test_an_edit_is_a_completion_by_a_person_above_what_it_edits(submit, held, bob):
    Project.objects.update(allow_edits=True)
    judgment = submit(**with_edit_on_top(held, of=2))
    written = Completion.objects.get(origin=Origin.PERSON)
    assert (written.text, written.written_by, written.edit_of_id) == ("Better.", bob, held.display_order[2])
    assert written.prompt == held.comparison.prompt
    assert judgment.ranking == [[written.pk], *([pk] for pk in held.display_order)]
    assert written not in held.comparison.completions.all()


def test_the_same_edit_again_is_the_same_completion(submit, held):
    Project.objects.update(allow_edits=True)
    first, second = (submit(**with_edit_on_top(held)) for _ in range(2))
    assert second.supersedes == first
    assert second.ranking == first.ranking
    submit(**with_edit_on_top(held, text="Better still."))
    assert Completion.objects.filter(origin=Origin.PERSON).count() == 2


def test_an_edit_that_is_taken_away_again_leaves_the_old_revision_as_it_was(submit, held):
    Project.objects.update(allow_edits=True)
    first, second = submit(**with_edit_on_top(held)), submit()
    first.refresh_from_db()
    assert len(first.ranking) == 5
    assert second.ranking == [[pk] for pk in held.display_order]


def test_an_edit_is_refused_where_the_project_takes_none(submit, held):
    with pytest.raises(RankingError, match="takes no edits"):
        submit(**with_edit_on_top(held))


@pytest.mark.parametrize(
    ("text", "message"), [("  \n", "is empty"), ("  {original}\n", "is the same as what it began as")]
)
def test_an_edit_says_something_new(submit, held, text, message):
    Project.objects.update(allow_edits=True)
    original = Completion.objects.get(pk=held.display_order[0]).text
    with pytest.raises(RankingError, match=message):
        submit(**with_edit_on_top(held, text=text.format(original=original)))
    assert not Completion.objects.filter(origin=Origin.PERSON).exists()


def test_an_edit_below_or_beside_what_it_edits_is_refused(submit, held):
    Project.objects.update(allow_edits=True)
    a, b, c, d = held.display_order
    for groups in ([[a], [EDIT], [b], [c], [d]], [[a, EDIT], [b], [c], [d]]):
        with pytest.raises(RankingError, match="must rank above what it edits"):
            submit(ranking=groups, edit=Edit(of=a, text="Better."))


def test_an_edit_of_what_was_not_shown_is_refused(submit, held, write):
    Project.objects.update(allow_edits=True)
    other = write(["Else."]).last()
    with pytest.raises(RankingError, match="was not shown here"):
        submit(ranking=[[EDIT], *([pk] for pk in held.display_order)], edit=Edit(of=other.pk, text="Better."))


# A rationale, a scale


@pytest.mark.parametrize("rationale", ["", "  \n"])
def test_a_rationale_that_is_required_is_missed(submit, rationale):
    Project.objects.update(rationale="required")
    with pytest.raises(RankingError, match="Say why"):
        submit(rationale=rationale)


def test_a_rationale_that_is_not_asked_is_not_kept(submit):
    Project.objects.update(rationale="off")
    assert submit(rationale="Because.").rationale == ""


def test_a_strength_of_another_scale_is_refused(submit):
    Project.objects.update(strength_scale="helpsteer3")
    with pytest.raises(RankingError, match="not on this project's scale"):
        submit(strengths=["better", "negligibly_better", "better"])


def test_the_guidelines_in_force_are_kept_with_the_judgment(submit, project, alice):
    second = actions.publish_guidelines(project=project, text="New.", by=alice)
    assert submit().guidelines_version == second


# The same again, and something else


def send(held, bob, key=None, based_on=None, **said):
    answer = {"ranking": [[pk] for pk in held.display_order]} | said
    return actions.submit_judgment(
        assignment=held, annotator=bob, answer=Answer(**answer), request_key=key or uuid.uuid4(), based_on=based_on
    )  # fmt: skip


def test_another_answer_under_a_known_key_is_refused_and_the_first_one_stays(held, bob):
    key = uuid.uuid4()
    first = send(held, bob, key)
    with pytest.raises(actions.AnsweredMeanwhile):
        send(held, bob, key, ranking=[held.display_order])
    assert Judgment.objects.get() == first


def test_the_same_answer_under_a_known_key_is_kept_once_whatever_it_has(held, bob):
    Project.objects.update(allow_edits=True, ask_safety=True)
    marks = {pk: Mark(Safety.SAFE) for pk in held.display_order}
    said = {**with_edit_on_top(held), "marks": marks, "rationale": "Because."}
    key = uuid.uuid4()
    first = send(held, bob, key, **said, seconds_spent=3)
    assert send(held, bob, key, **said, seconds_spent=60) == first
    for change in ({"rationale": "Or not."}, with_edit_on_top(held, text="Best."), {"marks": {}}):
        with pytest.raises((actions.AnsweredMeanwhile, MarksError)):
            send(held, bob, key, **{**said, **change})
    assert Judgment.objects.get() == first


def test_an_answer_that_knows_of_the_last_revision_replaces_it(held, bob):
    send(held, bob, based_on=Basis(0))
    second = send(held, bob, based_on=Basis(1), ranking=[held.display_order])
    assert second.revision == 2


def test_an_answer_from_before_the_last_revision_is_refused(held, bob):
    send(held, bob, based_on=Basis(0))
    with pytest.raises(actions.AnsweredMeanwhile, match="in another tab") as refused:
        send(held, bob, based_on=Basis(0), ranking=[held.display_order])
    assert refused.value.revision == 1
    assert Judgment.objects.count() == 1


def test_two_tabs_that_agree_make_one_judgment(held, bob):
    first = send(held, bob, based_on=Basis(0))
    assert send(held, bob, based_on=Basis(0)) == first


def test_what_the_page_itself_sent_unheard_is_no_other_tab(held, bob):
    unheard, also = uuid.uuid4(), uuid.uuid4()
    send(held, bob, unheard, based_on=Basis(0))
    last = send(held, bob, based_on=Basis(0, [also, unheard]), ranking=[held.display_order])
    assert (last.revision, last.ranking) == (2, [held.display_order])


def test_a_completion_that_is_longer_than_the_page_shows_cannot_be_edited(submit, held):
    Project.objects.update(allow_edits=True)
    Completion.objects.filter(pk=held.display_order[0]).update(text="word " * 10_001)
    with pytest.raises(RankingError, match="more than 50,000 characters cannot be edited"):
        submit(**with_edit_on_top(held))


# Outside the queue


def test_a_reviewers_answer_is_a_decision(held, alice):
    review = Assignment.objects.create(
        comparison=held.comparison, annotator=alice, purpose="review", display_order=held.display_order,
        leased_until=held.leased_until,
    )  # fmt: skip
    judgment = actions.submit_judgment(
        assignment=review, annotator=alice, answer=Answer(ranking=[[pk] for pk in held.display_order]),
        request_key=uuid.uuid4(),
    )  # fmt: skip
    assert judgment.is_decision
    held.slot.refresh_from_db()
    assert not held.slot.is_filled  # Bob's judgment is still wanted
