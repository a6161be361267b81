"""What was dropped stays dropped: no layout brings a pair back as a tie, as its opposite, or as a good completion."""

from dataclasses import replace
from itertools import chain

import pytest

from annotation.datasets.export_rows import Rows
from annotation.datasets.layouts import LAYOUTS, View
from annotation.rules.aggregation import Aggregation, PairRule
from annotation.rules.ranking import Strength
from tests.annotation.datasets.layouts.frozen_rows import comparison, judgment

A, B, C = 11, 12, 13
TEXTS = {A: "A", B: "B", C: "C"}
BOTH = list(Rows)


def judged(rankings, rule=None, texts=(A, B), **more):
    """``rankings``, or judgments themselves, one an annotator: 101, 102 ..."""
    given = [
        each if not isinstance(each, list) else judgment(number, 100 + number, each)
        for number, each in enumerate(rankings, start=1)
    ]
    made = comparison({pk: TEXTS[pk] for pk in texts}, given, **more)
    return replace(made, rule=rule) if rule else made


def rows(of, layout, rows=Rows.MAJORITY, **more):
    return list(LAYOUTS[layout].rows(of, View(layout, rows, **more)))


def winners(of, of_rows):
    return [row["winner"] for row in rows(of, "arena", of_rows)]


def overall(of, of_rows):
    return [row["overall_preference"] for row in rows(of, "helpsteer3", of_rows)]


def chosen(of, of_rows):
    return [row["chosen"][0]["content"] for row in rows(of, "trl_preference", of_rows)]


def labels(of, of_rows=Rows.MAJORITY):
    return [(row["completion"][0]["content"], row["label"]) for row in rows(of, "trl_unpaired", of_rows)]


@pytest.mark.parametrize("of_rows", BOTH)
def test_a_disputed_pair_does_not_come_out_as_the_tie_that_one_of_three_saw(of_rows):
    # 2 of 3 say A: 67 %, less than 80; and 1 of 3 a tie: 33 %.
    disputed = judged([[[A], [B]], [[A], [B]], [[A, B]]], PairRule(0.8))
    assert (overall(disputed, of_rows), winners(disputed, of_rows), chosen(disputed, of_rows)) == ([], [], [])
    assert rows(disputed, "rankings") == []


@pytest.mark.parametrize("of_rows", BOTH)
def test_a_weak_pair_does_not_come_out_as_a_tie(of_rows):
    slight = [judgment(pk, 100 + pk, [[A], [B]], ["slightly_better"]) for pk in (1, 2)]
    weak = judged([*slight, judgment(3, 103, [[A, B]])], PairRule(min_strength=Strength.BETTER))
    assert (overall(weak, of_rows), winners(weak, of_rows), rows(weak, "rankings")) == ([], [], [])


def test_a_tie_needs_the_agreement_that_is_asked_of_a_pair():
    mostly = [[[A, B]], [[A, B]], [[A], [B]]]  # 2 of 3: 67 %
    enough, too_few = judged(mostly, PairRule(0.6)), judged(mostly, PairRule(0.8))
    assert (winners(enough, Rows.JUDGMENT), winners(enough, Rows.MAJORITY)) == (["tie", "tie"], ["tie"])
    assert (overall(enough, Rows.JUDGMENT), overall(enough, Rows.MAJORITY)) == ([0, 0], [0])
    assert [*winners(too_few, Rows.JUDGMENT), *winners(too_few, Rows.MAJORITY)] == []
    assert too_few.kept_pairs(too_few.judgments[0]).ties == []


@pytest.mark.parametrize("of_rows", BOTH)
def test_a_tie_of_a_safe_and_an_unsafe_completion_is_no_row(of_rows):
    marks = {str(A): {"safety": "safe"}, str(B): {"safety": "unsafe"}}
    of = judged([judgment(1, 101, [[A, B]], marks=marks)])
    assert (winners(of, of_rows), overall(of, of_rows)) == ([], [])


def test_the_outvoted_judgment_gives_no_row_where_agreement_is_asked_for():
    opinions = [[[A], [B]], [[A], [B]], [[B], [A]]]
    of = judged(opinions, PairRule(0.6))  # 67 % for A, 33 % for B
    assert chosen(of, Rows.JUDGMENT) == ["A", "A"]
    assert [of.kept_pairs(each).disputed for each in of.judgments] == [0, 0, 1]
    assert chosen(judged(opinions), Rows.JUDGMENT) == ["A", "A", "B"]  # nothing is asked


def test_helpsteer3_over_all_annotators_says_what_dawid_and_skene_say():
    # A good annotator against one who guesses: log(0.9/0.1) = 2.2 against log(0.5/0.5) = 0, so A, not a tie.
    rule = PairRule(aggregation=Aggregation.DAWID_SKENE, accuracies={101: 0.9, 102: 0.5})
    of = judged([[[A], [B]], [[B], [A]]], rule)
    (row,) = rows(of, "helpsteer3")
    assert row["overall_preference"] == -2  # "better", as A's one judgment says
    assert [each["score"] for each in row["individual_preference"]] == [-2, 2]
    assert overall(judged([[[A], [B]], [[B], [A]]]), Rows.MAJORITY) == []  # one against one is no tie


def test_helpsteer3_keeps_what_each_annotator_said_beside_what_is_agreed():
    of = judged([[[A], [B]], [[A], [B]], [[B], [A]]], PairRule(0.6))
    (row,) = rows(of, "helpsteer3")
    assert [each["score"] for each in row["individual_preference"]] == [-2, -2, 2]


def test_helpsteer3s_reasoning_is_empty_unless_it_was_asked_for():
    of = judged([judgment(1, 101, [[A], [B]], rationale="By Al.")])
    for asked, words in ((False, ""), (True, "By Al.")):
        (row,) = rows(of, "helpsteer3", has_rationales=asked)
        assert [each["reasoning"] for each in row["individual_preference"]] == [words]


def test_kto_over_all_annotators_calls_nothing_good_that_most_marked_unsafe():
    marks = {str(A): {"safety": "unsafe"}, str(B): {"safety": "unsafe"}}
    of = judged([judgment(pk, 100 + pk, [[A], [B]], marks=marks) for pk in (1, 2, 3)])
    assert labels(of) == [("B", False)]
    assert labels(judged([[[A], [B]]])) == [("A", True), ("B", False)]


def test_kto_over_all_annotators_calls_nothing_good_where_most_found_all_bad():
    bad = [judgment(pk, 100 + pk, [[A], [B]], all_bad=True) for pk in (1, 2)]
    assert labels(judged([*bad, judgment(3, 103, [[A], [B]])])) == [("A", False), ("B", False)]
    half = judged([bad[0], judgment(2, 102, [[A], [B]])])  # one of two is not more than half
    assert labels(half) == [("A", True), ("B", False)]
    edited = judged([judgment(1, 101, [[C], [A], [B]], all_bad=True)], texts=(A, B, C), edits={C: A})
    assert labels(edited) == [("A", False), ("B", False)]  # of a better answer nobody said that it is bad


def test_a_ranking_by_majority_says_of_no_pair_what_was_not_agreed():
    def ranked(*rankings, rule=None):
        return [row["ranking"] for row in rows(judged(list(rankings), rule, texts=(A, B, C)), "rankings")]

    # A and B above C by both, A against B one to one: not a tie of A and B.
    assert ranked([[A], [B], [C]], [[B], [A], [C]]) == []
    # The agreed pairs run in a circle, 2 of 3 each: A over B, B over C, C over A.
    assert ranked([[A], [B], [C]], [[B], [C], [A]], [[C], [A], [B]]) == []
    assert ranked([[A, B], [C]], [[A, B], [C]], [[A], [B], [C]]) == [[[0, 1], [2]]]
    # One says that C is best, one that it is worst: nothing is agreed of it, and A is above B for both.
    (row,) = rows(judged([[[C], [A], [B]], [[A], [B], [C]]], texts=(A, B, C)), "rankings")
    assert ([each["text"] for each in row["completions"]], row["ranking"]) == (["A", "B"], [[0], [1]])


def test_every_row_of_arena_has_an_id_of_its_own():
    of = judged([[[A], [B], [C]], [[B], [A], [C]]], texts=(A, B, C))
    single, agreed = rows(of, "arena", Rows.JUDGMENT), rows(of, "arena", Rows.MAJORITY)
    assert len({row["question_id"] for row in chain(single, agreed)}) == len(single) + len(agreed) == 8


def test_arena_says_that_a_judge_did_not_know_the_models_only_where_that_is_known():
    here, elsewhere = judgment(1, 101, [[A], [B]]), judgment(2, 102, [[A], [B]], kind="imported")
    of = judged([here, elsewhere])
    assert [row["anony"] for row in rows(of, "arena", Rows.JUDGMENT)] == [True, None]
    assert [row["anony"] for row in rows(of, "arena", Rows.MAJORITY)] == [None]
    assert [row["anony"] for row in rows(judged([here]), "arena")] == [True]


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_no_layout_says_that_most_agree_where_votes_were_weighed(layout):
    by_majority = LAYOUTS[layout].note(View(layout, Rows.MAJORITY))
    weighed = LAYOUTS[layout].note(View(layout, Rows.MAJORITY, is_weighed=True))
    assert "most agree" not in weighed
    assert ("Dawid-Skene" in weighed, "Dawid-Skene" in by_majority) == (layout != "trl_preference", False)
