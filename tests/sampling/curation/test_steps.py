"""Filters one after another: their order, what is counted, what they can be told, and nothing left to chance."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampling.curation.filters import FILTERS
from sampling.curation.steps import EXAMPLES_KEPT, MOST_STEPS, BadStep, check, in_batches, pipeline
from tests.sampling.curation.records import kept, record, sifted

SHORT = {"filter": "tokens", "least": 3}
FEW = {"filter": "per_subset", "key": "topic", "most": 2}
COPIES = {"filter": "duplicates", "of": "prompt"}
SPLIT = {"filter": "split", "by": "metadata", "key": "topic", "eval_percent": 50}
MERGE = {"filter": "system", "do": "merge"}

texts = st.text(alphabet="ab \n한🙂שA", min_size=1, max_size=6).filter(lambda text: text.strip())
records_of_any_kind = st.lists(
    st.builds(
        lambda text, topic, system, sides: record(text, *sides, system=system, **({"topic": topic} if topic else {})),
        texts,
        st.sampled_from(["", "x", "y"]),
        st.sampled_from(["", "Be brief."]),
        st.lists(texts, max_size=2),
    ),
    max_size=25,
)
some_steps = st.lists(st.sampled_from([SHORT, FEW, COPIES, SPLIT, MERGE]), max_size=4)


def test_without_steps_everything_stays_as_it_is():
    rows = [record("a"), record("b")]
    filters, outcomes = sifted([], rows)
    assert [outcome.record for outcome in outcomes] == rows
    assert filters.removed == []


def test_each_step_sees_only_what_the_one_before_it_left():
    # 1 is short; 3 repeats 2. Two rows reach the second step, of which it removes one.
    rows = [record("Short."), record("Why is it so?"), record("why is it SO?")]
    filters, outcomes = sifted([SHORT, COPIES], rows)
    assert [(step["label"], step["seen"], step["removed"]) for step in filters.removed] == [
        ("Length in tokens", 3, 1),
        ("Duplicates", 2, 1),
    ]
    assert [(outcome.line, outcome.step, outcome.reason) for outcome in outcomes if outcome.record is None] == [
        (1, 0, "1 word, fewer than 3."),
        (3, 1, "The same as row 2."),
    ]


def test_the_order_of_steps_matters():
    # Drawn first, one of the two of a topic is gone, be it short or not; drawn last, the long one is always left.
    rows = [record("Short.", topic="x"), record("Why is it so?", topic="x")]
    one = {"filter": "per_subset", "key": "topic", "most": 1}
    assert kept([SHORT, one], rows) == [2]
    assert any(kept([one, SHORT], rows, seed=seed) == [] for seed in range(20))


def test_what_a_step_changes_the_next_one_reads():
    rows = [record("Why?", system="You know physics well."), record("Why?")]
    filters, outcomes = sifted([MERGE, SHORT], rows)
    assert outcomes[0].record.messages == ({"role": "user", "content": "You know physics well.\n\nWhy?"},)
    assert outcomes[1].record is None
    assert filters.removed[0]["changed"] == 1


def test_all_removed_rows_are_counted_and_the_first_ones_shown():
    filters, _ = sifted([COPIES], [record("Again and again?") for _ in range(50)])
    (step,) = filters.removed
    assert (step["removed"], len(step["examples"])) == (49, EXAMPLES_KEPT)
    assert step["examples"][0] == {"line": 2, "reason": "The same as row 1.", "content": "Again and again?"}


def test_an_example_shows_all_turns_and_completions_cut():
    filters, _ = sifted([{"filter": "equal_sides"}], [record("Why?" * 500, "Because.", "because.", system="Be brief.")])
    content = filters.removed[0]["examples"][0]["content"]
    assert content.startswith("system: Be brief.\nuser: Why?Why?")
    assert content.endswith("completion: Because.\ncompletion: because.")
    assert len(content) <= 500


@settings(deadline=None, max_examples=60)
@given(some_steps, records_of_any_kind, st.integers(0, 3), st.integers(1, 7))
def test_the_same_rows_and_seed_give_the_same_whatever_the_batches(steps, records, seed, size):
    filters, outcomes = sifted(steps, records, seed=seed)
    again = pipeline(steps, seed=seed)
    rows = list(enumerate(records, start=1))
    for _ in range(again.plan_passes):
        for batch in in_batches(rows, size):
            again.plan(batch)
        again.end_pass()
    assert [outcome for batch in in_batches(rows, size) for outcome in again.feed(batch)] == outcomes
    assert again.removed == filters.removed


@settings(deadline=None, max_examples=60)
@given(some_steps, records_of_any_kind)
def test_every_row_has_one_outcome_and_the_counts_add_up(steps, records):
    filters, outcomes = sifted(steps, records)
    assert [outcome.line for outcome in outcomes] == list(range(1, len(records) + 1))
    left = len(records)
    for step in filters.removed:
        assert step["seen"] == left
        left -= step["removed"]
    assert left == sum(outcome.record is not None for outcome in outcomes)
    assert all(bool(outcome.reason) == (outcome.record is None) for outcome in outcomes)


@settings(deadline=None, max_examples=30)
@given(st.permutations([record(text, topic=topic) for text, topic in itertools.product("abcdef", "xy")]))
def test_what_is_drawn_does_not_depend_on_the_order_of_rows(records):
    _, outcomes = sifted([FEW], records)
    drawn = {(str(each.record.messages), each.record.metadata["topic"]) for each in outcomes if each.record}
    _, in_order = sifted([FEW], sorted(records, key=str))
    assert drawn == {(str(each.record.messages), each.record.metadata["topic"]) for each in in_order if each.record}


def test_feeding_before_planning_is_an_error():
    with pytest.raises(RuntimeError, match="1 planning passes are missing"):
        pipeline([FEW]).feed([(1, record())])


def test_two_draws_take_two_passes():
    # Of 6 rows, 2 of each topic are left by the first draw, and 3 of all by the second.
    rows = [record(f"{topic} {number}", topic=topic) for topic in "xyz" for number in range(2)] * 2
    filters, outcomes = sifted([COPIES, FEW, {"filter": "per_subset", "most": 3}], rows)
    assert filters.plan_passes == 2
    assert [(step["seen"], step["removed"]) for step in filters.removed] == [(12, 6), (6, 0), (6, 3)]
    assert sum(outcome.record is not None for outcome in outcomes) == 3


def test_planning_reports_rows_too():
    rows = [(1, record("a")), (2, record("b"))]
    told = []
    list(pipeline([FEW]).sift(lambda: iter(rows), on_rows=told.append))
    assert told == [2, 2]


def test_a_checked_step_has_every_parameter():
    assert check([{"filter": "turns", "most": "4"}]) == [{"filter": "turns", "least": None, "most": 4}]


def test_checked_steps_are_checked_to_the_same():
    steps = [SHORT, FEW, COPIES, SPLIT, MERGE, {"filter": "languages", "languages": "en, ko"}]
    assert check(check(steps)) == check(steps)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({}, "they must be a list"),
        (["duplicates"], "Filter 1 is text; it must be an object"),
        ([{"filter": 3}], "Filter 1 is an object"),
        ([{"filter": "cleverness"}], 'Filter 1, "cleverness", is unknown. There are: duplicates'),
        ([{"filter": "turns", "max": 3}], r'Filter 1 \(Number of turns\): "max" is unknown; there are least, most'),
        ([{"filter": "turns"}], "give the fewest, the most, or both"),
        ([{"filter": "turns", "least": 3, "most": 2}], r"the fewest \(3\) are more than the most \(2\)"),
        ([{"filter": "turns", "least": "many"}], "Fewest: 'many' is no number"),
        ([{"filter": "turns", "least": 1.5}], "1.5 is not a whole number"),
        ([{"filter": "turns", "least": -1}], "-1 is out of range; give a number from 0 to 10,000"),
        ([{"filter": "turns", "least": 10**400}], "is no number"),
        ([{"filter": "turns", "least": "nan"}], "no number that can be used"),
        ([{"filter": "turns", "least": True}], "it is a truth value; it must be a number"),
        ([COPIES, {"filter": "near_duplicates", "threshold": ""}], "Filter 2 .* Alike from: it is empty"),
        ([{"filter": "languages"}], "Languages: it is empty; give at least one"),
        ([{"filter": "languages", "languages": "English"}], '"English" is no language code'),
        ([{"filter": "languages", "languages": [3]}], "must be a list of words"),
        ([{"filter": "categories", "key": " ", "values": "a"}], "Metadata key: it is empty"),
        ([{"filter": "categories", "key": "a\0", "values": "a"}], "NUL"),
        ([{"filter": "categories", "key": "a", "values": "\ud800"}], "surrogate"),
        ([{"filter": "categories", "key": "a" * 300, "values": "a"}], "300 characters; at most 200"),
        ([{"filter": "categories", "key": "a", "values": [str(n) for n in range(300)]}], "300 words; at most 200"),
        ([{"filter": "split", "by": "metadata"}], "name the key by which rows are one group"),
        ([{"filter": "system", "do": "praise"}], "'praise' is unknown; choose one of merge, strip"),
        ([{"filter": "duplicates", "ignore_case": "perhaps"}], "neither yes nor no"),
        ([SHORT] * (MOST_STEPS + 1), "There are 21 filters; at most 20"),
    ],
)
def test_a_step_that_cannot_be_run_is_explained(steps, words):
    with pytest.raises(BadStep, match=words):
        check(steps)


def test_a_bad_step_is_named_with_its_parameter():
    with pytest.raises(BadStep) as caught:
        check([COPIES, {"filter": "turns", "most": "x"}])
    assert (caught.value.step, caught.value.parameter) == (1, "most")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = sorted({parameter.name for each in FILTERS.values() for parameter in each.parameters})


@settings(deadline=None)
@given(
    json_values
    | st.lists(
        st.builds(
            lambda which, told: {"filter": which} | told,
            st.sampled_from(sorted(FILTERS)),
            st.dictionaries(st.sampled_from(names), json_values, max_size=4),
        ),
        max_size=3,
    )
)
def test_whatever_is_told_is_checked_or_explained(steps):
    try:
        checked = check(steps)
    except BadStep:
        return
    assert check(checked) == checked


def test_every_filter_says_what_it_does_and_of_each_parameter_what_it_is():
    for key, each in FILTERS.items():
        assert key == each.key
        assert each.what.endswith(".")
        assert len({parameter.name for parameter in each.parameters}) == len(each.parameters)
        for parameter in each.parameters:
            assert parameter.label
            assert not parameter.help or parameter.help.endswith(".")
