"""What becomes of judgments from elsewhere: comparisons, stand-ins, revisions, contradictions."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation import actions
from annotation.actions import review
from annotation.importing.annotators import pseudonym
from annotation.importing.forms import JudgmentsForm
from annotation.importing.judgments import JudgmentStore
from annotation.models import JudgeKind, Judgment, Project
from annotation.rules.ranking import DEFAULT_STRENGTH
from sampling.importing.stores import CannotImport, Numbered
from sampling.intake.records import FoundJudgment, JudgedBy
from sampling.models import Completion
from tests.annotation.importing.bring import QUESTION, an_import, bring, prefers, record
from tests.annotation.judged import make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(db):
    return make_project()


def counts(stored):
    return {name: getattr(stored, name) for name in ("prompts", "completions", "comparisons", "judgments", "known")}


def test_a_judgment_keeps_what_its_source_says(project):
    given = prefers(
        1, 0, annotator="dora@example.org", day=3, strengths=("slightly_better",), rationale="It is larger.",
        seconds_spent=12.5, source={"id": "x7"}, marks={0: {"safety": "safe"}},
    )  # fmt: skip
    data_import = an_import(project)
    stored = bring(data_import, [record(given, texts=(("Stockholm.", "gpt-x"), "Gothenburg."))])
    assert counts(stored) == {"prompts": 1, "completions": 2, "comparisons": 1, "judgments": 1, "known": 0}
    judgment = Judgment.objects.get()
    first, second = Completion.objects.order_by("index")
    assert (first.written_by_model, second.written_by_model) == ("gpt-x", "")
    assert judgment.ranking == [[second.pk], [first.pk]]
    assert judgment.strengths == ["slightly_better"]
    assert judgment.marks == {str(first.pk): {"safety": "safe"}}
    assert (judgment.kind, judgment.assignment, judgment.data_import) == (JudgeKind.IMPORTED, None, data_import)
    assert (judgment.rationale, judgment.seconds_spent) == ("It is larger.", 12.5)
    assert judgment.created_at == datetime(2024, 6, 3, 12, tzinfo=UTC)
    assert judgment.source == {"id": "x7", "order": [first.pk, second.pk], "by": "person", "format": "mapped"}
    comparison = judgment.comparison
    assert (comparison.wanted, comparison.slots.count(), comparison.data_import) == (0, 0, data_import)
    assert set(comparison.completions.all()) == {first, second}
    assert Judgment.objects.current().of_work().count() == 1


def test_an_annotators_name_is_kept_with_no_judgment_and_nobody_can_sign_in_as_them(project):
    bring(an_import(project), [record(prefers(0, 1, annotator="dora@example.org"))])
    annotator = Judgment.objects.get().annotator
    assert annotator.username == pseudonym(project, "named:dora@example.org")
    assert (annotator.is_active, annotator.has_usable_password()) == (False, False)
    assert authenticate(username=annotator.username, password="") is None
    assert not User.objects.filter(username__contains="dora").exists()
    assert "dora" not in str(Judgment.objects.values().get())


def test_the_same_name_is_the_same_annotator_in_one_project_and_another_one_in_the_next(project):
    rows = [record(prefers(0, 1, annotator="dora"), question=question) for question in ("One?", "Two?")]
    bring(an_import(project), rows)
    bring(an_import(make_project("Another")), rows)
    assert Judgment.objects.values("annotator").distinct().count() == 2


def test_the_same_file_twice_adds_nothing(project):
    rows = [
        record(prefers(0, 1, annotator="dora", day=1), prefers((0, 1), annotator="erik")),
        record(prefers(1, 0), question="And of Norway?", texts=["Oslo.", "Bergen."]),
    ]
    bring(an_import(project), rows)
    again = bring(an_import(project, "the same again"), rows)
    assert counts(again) == {"prompts": 0, "completions": 0, "comparisons": 0, "judgments": 0, "known": 2}
    assert Judgment.objects.count() == 3


def test_strengths_that_are_not_said_are_the_default(project):
    bring(an_import(project), [record(prefers(0, 1, 2, annotator="dora"), texts=["A", "B", "C"])])
    assert Judgment.objects.get().strengths == [DEFAULT_STRENGTH, DEFAULT_STRENGTH]


def test_both_sides_in_the_other_order_are_the_same_comparison(project):
    bring(
        an_import(project),
        [
            record(prefers(0, 1, annotator="dora"), texts=["Stockholm.", "Gothenburg."]),
            record(prefers(1, 0, annotator="erik"), texts=["Gothenburg.", "Stockholm."]),
        ],
    )
    assert project.comparisons.count() == 1
    one, other = Judgment.objects.all()
    assert one.ranking == other.ranking  # both prefer Stockholm


@pytest.mark.parametrize("k", [2, 3, 9])
def test_any_k_from_two_to_nine_is_a_comparison(project, k):
    bring(an_import(project), [record(prefers(*range(k)), texts=[f"Answer {n}." for n in range(k)])])
    assert project.comparisons.get().completions.count() == k


# --- rejected -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_a_judgment_is_rejected_with_the_reason(project):
    ten = [f"Answer {n}." for n in range(10)]
    bad = {
        "a comparison has at most 9": record(prefers(*range(10)), texts=ten),
        "it needs at least 2": record(prefers(0), texts=["Stockholm."]),
        "no judgment of them": record(),
        "completions have no place": record(prefers(0, 1), texts=["A", "B", "C"]),
        "names a completion twice": record(prefers(0, 0)),
        "not shown here": record(prefers(0, 1, 2)),
        "is no strength": record(prefers(0, 1, strengths=("enormously",))),
        "2 groups have 1 gaps": record(prefers(0, 1, strengths=("better", "better"))),
        "safe or unsafe": record(prefers(0, 1, marks={0: {"safety": "perhaps"}})),
        "no length of time": record(prefers(0, 1, seconds_spent=-1.0)),
        "no time zone": record(FoundJudgment(((0,), (1,)), at=datetime(2024, 6, 1))),
    }
    stored = bring(an_import(project), list(bad.values()))
    assert len(stored.rejected) == len(bad)
    for words, reason in zip(bad, stored.rejected.values(), strict=True):
        assert words in reason
    assert not Judgment.objects.exists()


def test_a_contradiction_of_somebody_unnamed_is_reported_and_leaves_nothing_behind(project):
    rows = [
        record(prefers(0, 1)),
        record(prefers(1, 0)),
        record(prefers(0, 1), question="Another?"),
        record(prefers(0, 1), question="Another?"),  # the same again
    ]
    stored = bring(an_import(project), rows)
    assert counts(stored) == {"prompts": 2, "completions": 4, "comparisons": 2, "judgments": 2, "known": 1}
    assert list(stored.rejected) == [2]
    assert "judged differently before" in stored.rejected[2]


def test_a_row_of_which_one_part_is_rejected_is_rejected_as_a_whole(project):
    """Line 2 holds two records: the second contradicts line 1, so the first one's prompt is not kept either."""
    store = JudgmentStore(an_import(project))
    stored = store.store(
        [
            Numbered(1, record(prefers(0, 1))),
            Numbered(2, record(prefers(0, 1), question="In the same line?")),
            Numbered(2, record(prefers(1, 0))),
            Numbered(3, record(prefers(0, 1), question="The next line?")),
        ]
    )
    assert list(stored.rejected) == [2]
    assert counts(stored) == {"prompts": 2, "completions": 4, "comparisons": 2, "judgments": 2, "known": 0}
    assert not project.comparisons.filter(prompt__messages__0__content="In the same line?").exists()


def test_a_new_project_is_made_even_where_the_first_rows_are_rejected(alice):
    data_import = an_import(None, new_project="Elsewhere judged")
    stored = bring(data_import, [record(prefers(0, 1)), record(prefers(1, 0))])
    assert (stored.judgments, list(stored.rejected)) == (1, [2])
    assert Project.objects.get(name="Elsewhere judged").comparisons.count() == 1


# --- revisions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 10])
def test_a_named_annotators_second_judgment_is_a_revision(project, at_once):
    rows = [record(prefers(*order, annotator="dora")) for order in ((0, 1), (1, 0), ((0, 1),))]
    for _ in range(2):  # the second time adds nothing
        bring(an_import(project), rows, at_once=at_once)
    first, second, third = Judgment.objects.order_by("revision")
    assert (second.supersedes, third.supersedes) == (first, second)
    assert Judgment.objects.current().get() == third
    assert len(third.ranking) == 1  # a tie: what they said last


@pytest.mark.parametrize("at_once", [1, 10])
def test_what_an_annotator_said_earlier_than_what_is_kept_is_reported(project, at_once):
    rows = [record(prefers(0, 1, annotator="dora", day=7)), record(prefers(1, 0, annotator="dora", day=2))]
    for _ in range(2):
        stored = bring(an_import(project), rows, at_once=at_once)
        assert list(stored.rejected) == [2]
        assert "2024-06-07 12:00:00, which is later" in stored.rejected[2]
    assert Judgment.objects.count() == 1


def test_within_one_row_judgments_are_kept_by_time(project):
    bring(an_import(project), [record(prefers(0, 1, annotator="dora", day=7), prefers(1, 0, annotator="dora", day=2))])
    assert [judgment.created_at.day for judgment in Judgment.objects.order_by("revision")] == [2, 7]


def test_a_later_file_can_hold_a_revision(project):
    bring(an_import(project), [record(prefers(0, 1, annotator="dora", day=1))])
    bring(an_import(project, "later"), [record(prefers(1, 0, annotator="dora", day=2))])
    assert Judgment.objects.current().get().revision == 2


# --- nobody in particular --------------------------------------------------------------------------------------------


def test_the_unnamed_annotators_of_one_row_are_different_people(project):
    rows = [record(prefers(0, 1), prefers(0, 1), prefers(1, 0)), record(prefers(1, 0), question="Another?")]
    for _ in range(2):
        bring(an_import(project), rows)
    assert Judgment.objects.count() == 4
    assert Judgment.objects.values("annotator").distinct().count() == 3


@pytest.mark.parametrize("at_once", [1, 10])
def test_unnamed_annotators_of_different_rows_can_be_different_people(project, at_once):
    rows = [record(prefers(0, 1)), record(prefers(0, 1)), record(prefers(1, 0)), record(prefers(0, 1), question="B?")]
    for _ in range(2):
        stored = bring(an_import(project, unnamed_are_one=False), rows, at_once=at_once)
        assert not stored.rejected
    assert stored.known == 4
    assert Judgment.objects.count() == 4
    assert Judgment.objects.values("annotator").distinct().count() == 3


def test_votes_and_models_are_told_apart_from_people_who_are_not_named(project):
    bring(
        an_import(project), [record(prefers(0, 1), prefers(0, 1, by=JudgedBy.VOTES), prefers(1, 0, by=JudgedBy.MODEL))]
    )
    assert Judgment.objects.values("annotator").distinct().count() == 3
    assert {judgment.source["by"] for judgment in Judgment.objects.all()} == {"person", "votes", "model"}


def test_a_sources_own_words_do_not_pass_for_ours(project):
    hostile = {"by": "me", "time": "unknown", "unnamed": "many", "order": [99], "scores": [1, 2]}
    bring(an_import(project, unnamed_are_one=False), [record(prefers(0, 1, day=1, source=hostile))] * 2)
    one, other = Judgment.objects.order_by("pk")
    assert (one.source["by"], one.source["unnamed"], other.source["unnamed"]) == ("person", 1, 2)
    assert one.source["unnamed_of_source"] == "many"
    assert one.source["scores"] == [1, 2]


# --- beside what is judged here --------------------------------------------------------------------------------------


def test_judgments_join_a_comparison_that_is_open_for_our_own_annotators(project, bob):
    """The completions are imported first, and opened here; then somebody else's judgments of them arrive."""
    actions.add_member(project=project, user=bob, role="annotator")
    asked = record(prefers(0, 1, annotator="dora"))
    bring(an_import(make_project("Another")), [asked])
    actions.open_comparisons(project=project, completions=Completion.objects.all(), k=2)
    ours = project.comparisons.get()
    assert ours.slots.count() == 3  # the overlap of 3
    stored = bring(an_import(project), [asked])
    assert counts(stored) == {"prompts": 0, "completions": 0, "comparisons": 0, "judgments": 1, "known": 0}
    ours.refresh_from_db()
    assert (ours.data_import, ours.wanted, ours.slots.open().count()) == (None, 3, 3)
    assert actions.claim_next(project=project, annotator=bob).comparison == ours


def test_opening_imported_completions_asks_our_annotators_for_what_is_judged_elsewhere(project, bob):
    actions.add_member(project=project, user=bob, role="annotator")
    bring(an_import(project), [record(prefers(0, 1, annotator="dora"))])
    opened = actions.open_comparisons(project=project, completions=Completion.objects.all(), k=2)
    again = actions.open_comparisons(project=project, completions=Completion.objects.all(), k=2)
    assert (opened.opened, opened.already_open, again.opened, again.already_open) == (1, 0, 0, 1)
    assert project.slots.open().count() == 3
    assert actions.claim_next(project=project, annotator=bob)


@pytest.mark.parametrize("asked", [0, 1])
def test_a_new_overlap_makes_no_slots_for_what_is_judged_elsewhere(project, alice, asked):
    bring(an_import(project), [record(prefers(0, 1, annotator="dora"))])
    comparison = project.comparisons.get()
    if asked:
        review.ask_for_judgments(comparison=comparison, wanted=1, by=alice)
    assert project.slots.count() == asked
    for overlap in (5, 2):
        project.overlap = overlap
        actions.save_settings(project=project, by=alice)
        assert project.slots.open().count() == asked


# --- a new project ---------------------------------------------------------------------------------------------------


def test_a_new_project_asks_what_the_file_shows_and_grows_with_it(alice):
    data_import = an_import(None, new_project="Judged elsewhere")
    data_import.created_by = alice
    rows = [
        record(prefers(0, 1, annotator="dora"), question="One?"),
        record(prefers((0, 1), 2, annotator="dora", strengths=("better",)), texts=["A", "B", "C"], question="Two?"),
        record(prefers(0, 1, strengths=("negligibly_better",)), question="Three?"),
        record(prefers((0, 1), all_bad=True), question="Four?"),
    ]
    seen = []
    for end in range(1, len(rows) + 1):
        bring(data_import, rows[:end])
        made = Project.objects.get(name="Judged elsewhere")
        seen.append((made.completions_per_comparison, made.allow_ties, made.strength_scale, made.allow_all_bad))
    assert seen == [
        (2, False, "none", False),
        (3, True, "helpsteer3", False),
        (3, True, "llama2", False),
        (3, True, "llama2", True),
    ]
    assert made.memberships.get().user == alice


def test_a_project_that_was_there_stays_as_it_is(project):
    """It offers neither ties nor the level, and is asked of two: what was judged elsewhere is kept as it was given."""
    project.allow_ties, project.strength_scale, project.completions_per_comparison = False, "none", 2
    project.save()
    given = prefers((0, 1), 2, annotator="dora", strengths=("negligibly_better",))
    stored = bring(an_import(project), [record(given, texts=["A", "B", "C"])])
    assert (stored.judgments, stored.rejected) == (1, {})
    assert Judgment.objects.get().strengths == ["negligibly_better"]
    project.refresh_from_db()
    assert (project.allow_ties, project.strength_scale, project.completions_per_comparison) == (False, "none", 2)


def test_a_project_that_is_gone_is_told_with_the_remedy(db):
    for data_import, words in (
        (an_import(Project(slug="gone")), 'no project "gone" any more. Choose one'),
        (an_import(None), "Choose one"),
        (an_import(None, new_project=make_project().name), "or another name"),
    ):
        with pytest.raises(CannotImport, match=words):
            bring(data_import, [record(prefers(0, 1))])


def test_the_form_wants_one_of_two(project):
    def errors(**given):
        return JudgmentsForm(given).errors

    assert not errors(project=project.slug)
    assert not errors(new_project="Another")
    assert "one of the two" in str(errors())
    assert "one of the two" in str(errors(project=project.slug, new_project="Another"))
    assert "already" in str(errors(new_project=project.name))
    form = JudgmentsForm({"project": project.slug, "unnamed_are_one": "on"})
    assert form.is_valid()
    assert form.cleaned_data == {"project": project.slug, "new_project": "", "unnamed_are_one": True}


# --- cost ------------------------------------------------------------------------------------------------------------


def test_a_batch_takes_as_many_statements_however_many_rows_it_has(project):
    def statements(count):
        rows = [
            record(prefers(0, 1, annotator=f"a{n % 7}", day=1), prefers(1, 0), question=f"{count} {n}?")
            for n in range(count)
        ]
        data_import = an_import(project)
        with CaptureQueriesContext(connection) as captured:
            bring(data_import, rows, at_once=count)
        return len(captured)

    statements(10)  # the annotators are there from now on
    few = statements(20)
    assert statements(200) == few < 20


def test_the_question_is_kept_as_a_prompt(project):
    bring(an_import(project), [record(prefers(0, 1))])
    assert project.comparisons.get().prompt.messages == [{"role": "user", "content": QUESTION}]


def test_of_what_else_a_source_says_only_known_keys_are_kept(project):
    told = {"id": "x7", "worker_email": "dora@example.org", "ip": "10.0.0.1", "score": 2}
    bring(an_import(project), [record(prefers(0, 1, source=told))])
    assert Judgment.objects.get().source.keys() & told.keys() == {"id", "score"}


def test_rows_that_were_left_out_are_the_same_annotators_when_they_are_imported_mended(project):
    store = JudgmentStore(an_import(project))
    stands_for = store.stand_in("dora")
    assert "dora" not in stands_for
    bring(an_import(project), [record(prefers(0, 1, annotator="dora"))])
    bring(an_import(project), [record(prefers(0, 1, annotator=stands_for), question="Another?")])
    assert len({judgment.annotator_id for judgment in Judgment.objects.all()}) == 1
    assert JudgmentStore(an_import(project)).stand_in(stands_for) == stands_for


def test_a_stand_in_of_another_project_is_a_name_like_any_other(project):
    theirs = JudgmentStore(an_import(make_project("Another"))).stand_in("dora")
    bring(an_import(project), [record(prefers(0, 1, annotator="dora"), prefers(1, 0, annotator=theirs))])
    assert len({judgment.annotator_id for judgment in Judgment.objects.all()}) == 2
    known = theirs.rpartition("-")[0]
    assert not Judgment.objects.filter(annotator__username=known).exists()
