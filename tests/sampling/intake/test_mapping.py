"""Which column is which of our fields, and rows that are read by that alone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampling.intake.formats.mapped import FORMAT
from sampling.intake.mapping import FIELDS, Unmet, apply, suggest
from sampling.intake.records import FoundCompletion, JudgedBy
from sampling.json_lines import Unusable
from tests.sampling.intake.formats.checking import check

FIRST, SECOND, TIE = ((0,), (1,)), ((1,), (0,)), ((0, 1),)
PAIR = {"prompt": "Why?", "completion_a": "Because.", "completion_b": "Who knows?"}
AS_NAMED = {name: name for name in FIELDS}


def read(row, mapping=None):
    (record,) = FORMAT.read(apply(row, mapping or {name: name for name in row if name in FIELDS}))
    check(record)
    return record


def judged(**said):
    return read(PAIR | said).judgments


# --- columns ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("a", 1),
        ("a.b", 2),  # a column of that very name goes before the path
        ("c.d.e", 3),
        ("c.list[1].x", 5),
        ("c.list[].x", [4, 5, None]),
        ("c.list[].deep[].y", [[6, 7], None, None]),
        ("c.list[9].x", None),
        ("c.none.e", None),
        ("a[0]", None),
        ("=gpt-4", "gpt-4"),
        ("a + c.d.e", [1, 3]),
        ("x + y", 8),  # a column of that very name goes before several
        (["x + y", "a"], [8, 1]),
    ],
)
def test_a_column_is_a_name_a_path_several_or_a_constant(column, value):
    row = {
        "a": 1,
        "a.b": 2,
        "c": {"d": {"e": 3}, "list": [{"x": 4, "deep": [{"y": 6}, {"y": 7}]}, {"x": 5}, "text"]},
        "x + y": 8,
    }
    assert apply(row, {"writers": column}).get("writers") == value


def test_columns_that_are_not_mapped_stay_and_never_pass_for_mapped_ones():
    row = {"Q": "Why?", "topic": "sky", "completion": "not meant", "deep": {"a": 1}}
    assert apply(row, {"prompt": "Q"}) == {
        "prompt": "Why?",
        "topic": "sky",
        "source_completion": "not meant",
        "deep": {"a": 1},
    }
    assert row["completion"] == "not meant"  # the row itself is left as it is


def test_a_prompt_of_several_columns_is_joined_and_empty_ones_are_left_out():
    mapping = {"prompt": "instruction + input"}
    assert apply({"instruction": "Add.", "input": "1, 2"}, mapping)["prompt"] == "Add.\n1, 2"
    assert apply({"instruction": "Add.", "input": ""}, mapping)["prompt"] == "Add."
    assert apply({"instruction": "Add.", "input": None}, mapping)["prompt"] == "Add."


def test_metadata_is_an_object_or_some_columns():
    row = {"prompt": "Why?", "a": 1, "b": {"c": 2}}
    assert read(row, {"prompt": "prompt", "metadata": "b"}).metadata == {"a": 1, "c": 2}
    assert read(row, {"prompt": "prompt", "metadata": "a + b.c"}).metadata == {"a": 1, "b.c": 2}


# --- suggestions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "mapping"),
    [
        (["Q", "A", "label"], {"prompt": "Q", "completion": "A"}),
        (["instruction", "input"], {"prompt": "instruction + input"}),
        (["question", "Model A", "Model B", "Response A", "Response B", "winner", "Rater", "Submitted at"],
         {"prompt": "question", "completion_a": "Response A", "completion_b": "Response B", "writer_a": "Model A",
          "writer_b": "Model B", "preference": "winner", "annotator": "Rater", "time": "Submitted at"}),
        (["prompt", "response_0", "response_1", "better_response_id"],
         {"prompt": "prompt", "completion_a": "response_0", "completion_b": "response_1",
          "preferred_index": "better_response_id"}),
        (["messages", "prompt", "id"], {"messages": "messages", "id": "id"}),
        (["prompt", "chosen", "rejected", "response"],
         {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}),
        (["prompt", "output 1", "output 2", "vote_1", "vote_2"],
         {"prompt": "prompt", "completion_a": "output 1", "completion_b": "output 2", "preference": "vote_1 + vote_2"}),
        (["x", "y"], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_columns_are_suggested_by_their_names(columns, mapping):
    assert suggest(columns) == mapping


@given(st.lists(st.text(max_size=12)))
def test_any_columns_give_a_mapping_to_our_fields(columns):
    assert suggest(columns).keys() <= FIELDS.keys()


# --- preferences --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "groups", "strengths"),
    [
        *((word, FIRST, ()) for word in ("a", "A", 1, "1", 1.0, "left", "first", "model_a", "response1", "a1")),
        *((word, SECOND, ()) for word in ("b", 2, "2", "right", "Second", "MODEL_B", "response 2", "arg2", "a2")),
        *((word, TIE, ()) for word in ("tie", "Tie", "equal", "same", "draw", "both", 0, "0", 0.0, "A=B")),
        ("a-is-better", FIRST, ("better",)),
        ("b-is-slightly-better", SECOND, ("slightly_better",)),
        ("Response 2 is significantly better", SECOND, ("significantly_better",)),
        ("A is negligibly better", FIRST, ("negligibly_better",)),
        ("A>>B", FIRST, ("significantly_better",)),
        ("A<B", SECOND, ("better",)),
        ("B > A", SECOND, ("better",)),
    ],
)
def test_a_preference_is_said_in_words_or_counted_from_one(said, groups, strengths):
    (judgment,) = judged(preference=said)
    assert (judgment.groups, judgment.strengths, judgment.all_bad) == (groups, strengths, False)


@pytest.mark.parametrize("said", ["tie (bothbad)", "both_bad", "neither"])
def test_a_tie_of_bad_answers_is_told_as_such(said):
    (judgment,) = judged(preference=said)
    assert (judgment.groups, judgment.all_bad) == (TIE, True)


def test_a_preference_may_name_a_writer():
    (judgment,) = judged(preference="opus", writer_a="haiku", writer_b="opus")
    assert judgment.groups == SECOND
    with pytest.raises(Unusable, match="names no answer"):
        judged(preference="opus", writer_a="opus", writer_b="opus")


@pytest.mark.parametrize("said", [3, -1, "-1", "-2.0", True, "c", "x" * 10_000, {}, "better", "maybe a"])
def test_a_preference_that_names_no_answer_is_never_guessed(said):
    with pytest.raises(Unusable, match='"preference" is'):
        judged(preference=said)


@pytest.mark.parametrize(
    ("said", "groups", "strengths"),
    [
        (-3, FIRST, ("significantly_better",)),
        ("-1", FIRST, ("slightly_better",)),
        (0, TIE, ()),
        (2.0, SECOND, ("better",)),
    ],
)
def test_a_preference_on_a_scale_is_negative_where_the_first_is_better(said, groups, strengths):
    (judgment,) = judged(preference_scale=said)
    assert (judgment.groups, judgment.strengths) == (groups, strengths)


def test_an_index_counts_from_zero():
    assert [judged(preferred_index=index)[0].groups for index in (0, 1, "1")] == [FIRST, SECOND, SECOND]
    with pytest.raises(Unusable):
        judged(preferred_index=2)


def test_ranks_and_scores_rank_any_number_of_answers():
    answers = {"prompt": "Why?", "completions": ["one", "two", "three"]}
    assert read(answers | {"ranks": [2, 1, 2]}).judgments[0].groups == ((1,), (0, 2))
    assert read(answers | {"scores": ["0.5", 9, 0.5]}).judgments[0].groups == ((1,), (0, 2))
    several = read(answers | {"ranks": [[1, 2, 3], None, [3, 2, 1]], "annotator": ["ann", "ben", "cid"]}).judgments
    assert [(one.annotator, one.groups) for one in several] == [
        ("ann", ((0,), (1,), (2,))),
        ("cid", ((2,), (1,), (0,))),
    ]
    for broken in ({"ranks": [1, 2]}, {"scores": "high"}, {"preference": "a"}):
        with pytest.raises(Unusable):
            read(answers | broken)


def test_an_answer_that_is_not_there_leaves_its_rank_out():
    mapping = {"prompt": "p", "completions": "r1 + r2 + r3", "ranks": "n1 + n2 + n3", "writers": "=x + =y + =z"}
    record = read({"p": "Why?", "r1": "one", "r2": None, "r3": "three", "n1": 2, "n2": None, "n3": 1}, mapping)
    assert record.completions == (FoundCompletion("one", "x"), FoundCompletion("three", "z"))
    assert record.judgments[0].groups == ((1,), (0,))


def test_several_annotators_columns_are_named_by_them():
    mapping = AS_NAMED | {"preference": "ann + ben + cid"}
    judgments = read(PAIR | {"ann": 1, "ben": None, "cid": 0}, {**mapping, "annotator": ""}).judgments
    assert [(judgment.annotator, judgment.groups) for judgment in judgments] == [("ann", FIRST), ("cid", TIE)]


def test_a_list_of_annotations_gives_a_judgment_for_each():
    row = PAIR | {
        "annotations": [
            {"worker": "w1", "value": "a", "reason": "clear", "at": "2016-01-31 16:59:52.0 UTC"},
            {"worker": "w2", "value": "equal", "reason": None, "at": None},
        ]
    }
    mapping = {name: name for name in PAIR} | {
        "preference": "annotations[].value",
        "annotator": "annotations[].worker",
        "rationale": "annotations[].reason",
        "time": "annotations[].at",
        "kind": "=person",
    }
    first, second = read(row, mapping).judgments
    assert (first.annotator, first.groups, first.rationale) == ("w1", FIRST, "clear")
    assert (first.at, first.by) == (datetime(2016, 1, 31, 16, 59, 52, tzinfo=UTC), JudgedBy.PERSON)
    assert (second.annotator, second.groups, second.rationale, second.at) == ("w2", TIE, "", None)


def test_lists_of_unlike_length_are_told():
    with pytest.raises(Unusable, match='"annotator" has 1 values for 2 of "preference"'):
        judged(preference=["a", "b"], annotator=["ann"])


def test_what_is_said_of_a_judgment_is_kept_with_it():
    record = read(
        PAIR
        | {"preference": "a", "strength": "Slightly better", "annotator": 7, "seconds": "12.5", "id": "r1", "other": 3}
        | {"acceptable_a": "yes", "acceptable_b": "No", "category": "sky", "split": "validation"}
    )
    (judgment,) = record.judgments
    assert (judgment.strengths, judgment.annotator, judgment.seconds_spent) == (("slightly_better",), "7", 12.5)
    assert judgment.marks == {0: {"aspects": {"acceptable": 1}}, 1: {"aspects": {"acceptable": 0}}}
    assert judgment.source == {"id": "r1", "other": 3}
    assert (record.metadata, record.split) == ({"category": "sky"}, "eval")


def test_chosen_and_rejected_are_a_judgment_by_themselves():
    record = read({"prompt": "Why?", "chosen": "Because.", "rejected": "No.", "strength": 3})
    assert [completion.text for completion in record.completions] == ["Because.", "No."]
    assert (record.judgments[0].groups, record.judgments[0].strengths) == (FIRST, ("significantly_better",))


def test_one_text_may_name_all_writers():
    named = {"preference": "a", "writers": "bloom-7b_llama-7b"}
    assert [completion.writer for completion in read(PAIR | named).completions] == ["bloom-7b", "llama-7b"]
    with pytest.raises(Unusable, match="does not fall into 2 names"):
        judged(preference="a", writers="a_b_c")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "The row has no prompt"),
        ({"prompt": None}, "The row has no prompt"),
        ({"prompt": 3}, '"prompt" is a number'),
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, "map one of them"),
        ({"prompt": "a", "completion_a": "b"}, '"completion_b" is null'),
        ({"prompt": "a", "completion": "b", "completions": ["c"]}, "mapped in 2 ways"),
        ({"prompt": "a", "completion": "b", "preference": "a"}, "the row has 1 answers. Map two or more"),
        (PAIR | {"preference": "a", "ranks": [1, 2]}, "is mapped in 2 ways"),
        (PAIR | {"preference": "a", "time": "noon"}, '"time" is no time'),
        (PAIR | {"preference": "a", "strength": 7}, '"strength" is 7'),
        (PAIR | {"preference": "a", "seconds": -1}, "must not be negative"),
        (PAIR | {"preference": "a", "acceptable_a": "perhaps"}, "must be yes or no"),
    ],
)
def test_what_cannot_be_read_is_told_in_words(row, reason):
    with pytest.raises(Unusable, match=reason):
        read(row)


# --- hostile rows -------------------------------------------------------------------------------------------------

WORDS = [
    "a",
    "tie",
    "1",
    1,
    0,
    -1,
    2.5,
    "Why?",
    "Because.",
    None,
    "",
    "2024-05-01",
    "train",
    "A>>B",
    "\0",
    "\ud800",
    True,
]
values = st.recursive(
    st.sampled_from(WORDS) | st.text(max_size=5) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "text", "x"]), inner)
    ),
    max_leaves=6,
)
names = st.sampled_from(sorted(FIELDS))


@settings(deadline=None)
@given(
    row=st.dictionaries(names | st.text(max_size=3), values, max_size=8),
    base=st.sampled_from([{}, PAIR, {"prompt": "Why?", "completions": ["one", "two"]}]),
    mapping=st.dictionaries(names, names | st.text(max_size=6) | st.just("x + y[].z") | st.just("a.b[0]"), max_size=5),
)
def test_any_row_by_any_mapping_gives_records_or_says_why_not(row, base, mapping):
    row = base | row
    try:
        records = FORMAT.read(apply(row, {name: name for name in base} | mapping))
    except Unusable as unusable:
        assert str(unusable)  # noqa: PT017 it says why
    else:
        for record in records:
            check(record)


# --- columns that are not there -----------------------------------------------------------------------------------


def unmet(mapping, *rows):
    found = Unmet(mapping)
    for row in rows:
        found.see(row)
    return found.problems(dict.fromkeys(name for row in rows for name in row))


def test_a_column_that_no_row_has_is_told_with_the_one_that_may_be_meant():
    rows = [{"question": "a", "meta": {"lang": None}}, {"question": "b", "answer": None}]
    told = unmet({"prompt": "question + input", "completion": "anwser", "language": "meta.language"}, *rows)
    assert told == {
        "prompt": 'No row has a column "input".',
        "completion": 'No row has a column "anwser". Is "answer" meant?',
        "language": 'No row has anything at "meta.language".',
    }


def test_a_column_that_one_row_has_is_there():
    rows = [{"a + b": 1, "d": [{"w": None}]}, {"c": None, "d": [{"w": "x"}, {}]}]
    mapping = {"prompt": "a + b", "category": "c", "annotator": "d[].w", "writer": "=gpt", "no field": "x", "id": ""}
    assert unmet(mapping, *rows) == {}
    assert unmet({"metadata": ["c", "e"]}, *rows) == {"metadata": 'No row has a column "e".'}


# --- answers that are empty ---------------------------------------------------------------------------------------


def test_an_empty_answer_that_was_judged_is_one_and_others_are_none():
    asked = {"prompt": "Why?"}
    for said in ({"preference": "b"}, {"preferred_index": 1}, {"ranks": [2, 1]}, {"scores": [[0, 3], [1, 2]]}):
        record = read(asked | {"completions": ["", "So."]} | said)
        assert [completion.text for completion in record.completions] == ["", "So."]
        assert {judgment.groups for judgment in record.judgments} == {SECOND}
    fewer = read(asked | {"completions": ["So.", "No.", ""], "ranks": [1, 2, None]})
    assert [completion.text for completion in fewer.completions] == ["So.", "No."]
    assert [completion.text for completion in judged_of({"completion_a": "", "completion_b": True})] == ["", "true"]


def judged_of(answers):
    return read({"prompt": "Is it?", "preference": "b"} | answers).completions
