"""Each filter: what it removes, what it keeps, what it changes, and the reason that it gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampling.curation.steps import BadStep, pipeline
from tests.sampling.curation.records import kept, reasons, record, sifted

# --- duplicates -------------------------------------------------------------------------------------------------


def duplicates(**told):
    return [{"filter": "duplicates"} | told]


def test_the_first_of_copies_stays_and_is_named():
    rows = [record("a"), record("b"), record("A"), record(" a\n"), record("c")]
    assert reasons(duplicates(), rows) == {3: "The same as row 1.", 4: "The same as row 1."}


def test_case_white_space_and_forms_may_count():
    # fi as a ligature and a full-width A; é is composed in one text and decomposed in the other.
    forms = ["A file", "a file", "A  file", "\uff21 \ufb01le", "caf\u00e9", "cafe\u0301"]
    rows = [record(form) for form in forms]
    exact = {"ignore_case": False, "ignore_spaces": False, "ignore_forms": False}
    assert kept(duplicates(), rows) == [1, 5]
    assert kept(duplicates(**exact), rows) == [1, 2, 3, 4, 5, 6]
    assert kept(duplicates(**exact | {"ignore_case": True}), rows) == [1, 3, 4, 5, 6]
    assert kept(duplicates(**exact | {"ignore_spaces": True}), rows) == [1, 2, 4, 5, 6]
    assert kept(duplicates(**exact | {"ignore_forms": True}), rows) == [1, 2, 3, 5]


def test_korean_composed_and_decomposed_is_one_text():
    assert kept(duplicates(), [record("한국"), record("\u1112\u1161\u11ab\u1100\u116e\u11a8")]) == [1]


def test_right_to_left_and_emoji_are_told_apart():
    rows = [record("שלום"), record("שלום!"), record("🙂"), record("🙃"), record("👩‍🚀"), record("👩"), record("مرحبا")]
    assert kept(duplicates(), rows) == [1, 2, 3, 4, 5, 6, 7]


def test_who_speaks_makes_a_difference():
    as_system = record("Why?", system="Be brief.")
    as_user = record("Be brief.\nWhy?")
    assert kept(duplicates(), [as_system, as_user]) == [1, 2]


def test_judgments_of_two_annotators_are_no_copies_unless_asked_for():
    rows = [record("Why?", "a", "b", annotator=name) for name in ("ann", "ben", "ann")] + [record("Why?", "a", "c")]
    assert kept(duplicates(), rows) == [1, 2, 4]
    assert kept(duplicates(of="exchange"), rows) == [1, 4]
    assert kept(duplicates(of="prompt"), rows) == [1]


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=3), max_size=30))
def test_of_each_text_exactly_one_is_left(texts):
    exact = duplicates(ignore_case=False, ignore_spaces=False, ignore_forms=False)
    left = kept(exact, [record(text) for text in texts])
    assert [texts[line - 1] for line in left] == list(dict.fromkeys(texts))


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=30))
def test_the_first_row_is_never_removed(texts):
    rows = [record(text) for text in texts]
    assert kept(duplicates(), rows)[0] == 1
    assert kept([{"filter": "near_duplicates"}], rows)[0] == 1


# --- equal completions ------------------------------------------------------------------------------------------


def test_a_comparison_of_a_text_with_itself_is_removed():
    rows = [record("Why?", "Yes", "No"), record("Why?", "Yes", "No", " yes"), record("Why?", "Yes"), record("Why?")]
    assert reasons([{"filter": "equal_sides"}], rows) == {2: "Completion 3 is the same as completion 1."}


# --- lengths ----------------------------------------------------------------------------------------------------


def test_words_are_counted_without_a_tokenizer():
    rows = [record("one two"), record("one two three"), record("one two three four"), record("한국어 세 단어")]
    step = {"filter": "tokens", "least": 3, "most": 3}
    assert reasons([step], rows) == {1: "2 words, fewer than 3.", 3: "4 words, more than 3."}


def test_each_completion_must_be_in_range():
    rows = [record("Why?", "one two", "one"), record("Why?", "one two", "three four"), record("Why?")]
    step = {"filter": "tokens", "of": "completions", "least": 2}
    assert reasons([step], rows) == {1: "1 word, fewer than 2."}
    together = {"filter": "tokens", "of": "whole", "most": 2}
    assert reasons([together], rows) == {1: "3 words, more than 2.", 2: "3 words, more than 2."}


@pytest.fixture
def tokenizer(tmp_path):
    """A directory with a tokenizer that cuts at white space and punctuation: "Why so?" is three tokens."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    made = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    made.enable_truncation(2)  # as many tokenizers have it: it must not cut what is counted
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_tokens_are_those_of_the_chosen_model(tokenizer):
    step = {"filter": "tokens", "least": 3, "tokenizer": "smollm2"}
    rows = [record("Why so?"), record("Why so")]
    assert reasons([step], rows, directory_of={"smollm2": str(tokenizer)}.__getitem__) == {2: "2 tokens, fewer than 3."}


def test_a_tokenizer_that_is_not_there_is_named(tmp_path):
    def nobody(name):
        raise LookupError(f'No model "{name}" is registered.')

    step = {"filter": "tokens", "least": 3, "tokenizer": "smollm2"}
    with pytest.raises(BadStep, match='No model "smollm2" is registered'):
        pipeline([step], directory_of=nobody)
    with pytest.raises(BadStep, match=r'the model "smollm2" has no tokenizer.json at .* to count words'):
        pipeline([step], directory_of=lambda name: str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadStep, match="cannot be read as a tokenizer"):
        pipeline([step], directory_of=lambda name: str(tmp_path))


def test_turns_are_counted_without_the_system_message():
    chat = record("Why?", system="Be brief.")
    longer = record("Why?")
    longer = type(longer)(messages=(*longer.messages, {"role": "assistant", "content": "So."}, *longer.messages))
    assert reasons([{"filter": "turns", "most": 1}], [chat, longer]) == {2: "3 turns, more than 1."}
    assert reasons([{"filter": "turns", "least": 2}], [chat, longer]) == {1: "1 turn, fewer than 2."}


def test_completions_of_very_different_length_are_removed():
    # 12 / 3 = 4 is as much as is allowed; 13 / 3 = 4.33 is more.
    rows = [record("Why?", "x" * 12, "xxx"), record("Why?", "x" * 13, "xxx"), record("Why?", "x"), record("Why?")]
    assert reasons([{"filter": "length_ratio", "most": 4}], rows) == {
        2: "The longest completion is 4.3 times as long as the shortest, more than 4."
    }


# --- language ---------------------------------------------------------------------------------------------------

SENTENCES = [
    "Why is the sky blue today?",
    "Warum ist der Himmel blau?",
    "하늘은 왜 파란가요?",
    "لماذا تبدو السماء زرقاء في النهار؟",
]


def test_only_the_chosen_languages_are_kept():
    rows = [record(text) for text in SENTENCES]
    assert kept([{"filter": "languages", "languages": "en, ko"}], rows) == [1, 3]
    told = reasons([{"filter": "languages", "languages": ["ar"]}], rows)
    assert told[2].startswith("Its language is de (9")


def test_what_is_too_short_to_tell_stays_unless_asked_otherwise():
    rows = [record("ok"), record("🙂🙂🙂"), record("12 + 30"), record(SENTENCES[0])]
    assert kept([{"filter": "languages", "languages": "ko"}], rows) == [1, 2, 3]
    strict = reasons([{"filter": "languages", "languages": "en", "unsure": "remove"}], rows)
    assert list(strict) == [1, 2, 3]
    assert strict[1].startswith("Its language is not sure: ")


def test_the_completions_language_may_count():
    rows = [record(SENTENCES[0], SENTENCES[2], SENTENCES[2]), record(SENTENCES[2])]
    assert kept([{"filter": "languages", "languages": "en", "of": "completions"}], rows) == [2]


# --- metadata ---------------------------------------------------------------------------------------------------


def test_categories_are_kept_or_removed():
    rows = [record("a", topic="law"), record("b", topic="art"), record("c"), record("d", topic=["art", "law"])]
    keep = {"filter": "categories", "key": "topic", "values": "law"}
    assert reasons([keep], rows) == {2: "Its topic is art.", 3: 'It has no "topic".'}
    assert kept([keep | {"missing": "keep"}], rows) == [1, 3, 4]
    assert kept([keep | {"do": "remove"}], rows) == [2]


def test_values_that_are_no_text_are_written_as_json():
    rows = [record("a", level=3), record("b", level=True), record("c", level=None), record("d", level={"x": 1})]
    step = {"filter": "categories", "key": "level", "values": ["3", "true"]}
    assert reasons([step], rows) == {3: 'It has no "level".', 4: 'Its level is {"x": 1}.'}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("xyz")), max_size=60), st.integers(1, 4))
def test_of_each_subset_exactly_so_many_are_left(rows, most):
    """Though rows repeat each other, and so are drawn with the same number."""
    records = [record(str(number), topic=topic) for number, topic in rows]
    left = kept([{"filter": "per_subset", "key": "topic", "most": most}], records)
    for topic in "xyz":
        there = [line for line, (_, of) in enumerate(rows, start=1) if of == topic]
        assert len(set(left) & set(there)) == min(most, len(there))


def test_another_seed_draws_others():
    rows = [record(str(number)) for number in range(100)]
    one, other = (kept([{"filter": "per_subset", "most": 10}], rows, seed=seed) for seed in (17, 18))
    assert len(one) == len(other) == 10
    assert one != other


def test_what_was_not_drawn_is_told_its_subset():
    rows = [record("a", topic="law"), record("b", topic="law"), record("c"), record("d")]
    told = reasons([{"filter": "per_subset", "key": "topic", "most": 1}], rows)
    assert sorted(told.values()) == [
        "Not among the 1 that were drawn of topic law.",
        "Not among the 1 that were drawn of topic none.",
    ]
    assert set(reasons([{"filter": "per_subset", "most": 3}], rows).values()) == {"Not among the 3 that were drawn."}


# --- system prompts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "left", "messages"),
    [
        ("merge", [1, 2], [{"role": "user", "content": "Be brief.\n\nWhy?"}]),
        ("strip", [1, 2], [{"role": "user", "content": "Why?"}]),
        ("without", [2], [{"role": "user", "content": "Why?"}]),
        ("with", [1], [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]),
    ],
)
def test_a_system_message_is_moved_taken_away_or_chosen_by(do, left, messages):
    rows = [record("Why?", "Because.", system="Be brief.", topic="x"), record("Why?")]
    _, outcomes = sifted([{"filter": "system", "do": do}], rows)
    assert [outcome.line for outcome in outcomes if outcome.record] == left
    first = next(outcome.record for outcome in outcomes if outcome.record)
    assert list(first.messages) == messages
    if left[0] == 1:
        assert (first.completions, first.metadata) == (rows[0].completions, {"topic": "x"})


def test_it_is_merged_into_the_users_first_turn_even_after_an_assistants():
    row = record("Why?", system="Be brief.")
    row = type(row)(messages=(row.messages[0], {"role": "assistant", "content": "Hello!"}, row.messages[1]))
    _, (outcome,) = sifted([{"filter": "system"}], [row])
    assert [message["content"] for message in outcome.record.messages] == ["Hello!", "Be brief.\n\nWhy?"]


# --- split ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=3), st.sampled_from("vwxyz")), max_size=40),
    st.floats(0, 100),
    st.integers(0, 5),
)
def test_a_group_is_on_one_side_and_no_row_is_lost(rows, percent, seed):
    records = [record(text, topic=topic, split="train") for text, topic in rows]
    step = {"filter": "split", "by": "metadata", "key": "topic", "eval_percent": percent}
    _, outcomes = sifted([step], records, seed=seed)
    sides = {}
    for outcome in outcomes:
        sides.setdefault(outcome.record.metadata["topic"], set()).add(outcome.record.split)
    assert all(len(side) == 1 for side in sides.values())
    assert len(outcomes) == len(rows)


def splits(rows, **told):
    return [outcome.record.split for outcome in sifted([{"filter": "split"} | told], rows)[1]]


def test_about_the_wanted_share_goes_to_eval():
    # Of 2,000 prompts 20% are 400, with a standard deviation of sqrt(2000 * 0.2 * 0.8) = 18: within 5 of them.
    found = splits([record(f"Question {number}?") for number in range(2000)], eval_percent=20)
    assert abs(found.count("eval") - 400) < 90
    assert set(splits([record("a")], eval_percent=0)) == {"train"}
    assert set(splits([record("a")], eval_percent=100)) == {"eval"}


def test_what_the_source_said_is_overruled_so_that_groups_stay_whole():
    rows = [record("Why?", "a", split="eval"), record("Why?", "b", split="train"), record("Why?", "c")]
    assert len(set(splits(rows, eval_percent=50))) == 1


def test_first_words_make_a_group():
    rows = [record(f"Translate into  FRENCH: {word}") for word in ["one", "two", "three", "four", "five", "six"]]
    assert len(set(splits(rows, by="words", words=2, eval_percent=50))) == 1
    assert len(set(splits(rows, by="words", words=4, eval_percent=50))) == 2


def test_rows_without_the_key_are_groups_of_their_own():
    rows = [record(f"Question {number}?") for number in range(40)]
    assert len(set(splits(rows, by="metadata", key="topic", eval_percent=50))) == 2
