"""Formats of two completions, one of which is preferred: or neither."""

from datetime import UTC, datetime

import pytest

from sampling.intake import formats
from sampling.intake.formats.preferences import FIRST, TIE
from sampling.json_lines import Unusable


def one(row: dict, key: str):
    assert formats.recognise([row]) == key
    [record] = formats.read(row, key)
    return record


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict:
    return {"role": "assistant", "content": content}


def texts(record) -> list[str]:
    return [completion.text for completion in record.completions]


def test_trl_rows_say_the_same_in_all_their_four_ways():
    explicit = {"prompt": "What is it?", "chosen": "Blue.", "rejected": "Green."}
    turns = {"prompt": [user("What is it?")], "chosen": [assistant("Blue.")], "rejected": [assistant("Green.")]}
    whole = {
        "chosen": [user("What is it?"), assistant("Blue.")],
        "rejected": [user("What is it?"), assistant("Green.")],
    }
    implicit = {"chosen": "What is it? Blue.", "rejected": "What is it? Green."}
    for row in (explicit, turns, whole, implicit, {"prompt": [user("What is it?")], **whole}):
        record = one(row, "trl_preference")
        assert record.messages == (user("What is it?"),)
        assert texts(record) == ["Blue.", "Green."]
        assert [judgment.groups for judgment in record.judgments] == [FIRST]


def test_an_implicit_prompt_ends_at_a_blank_and_not_within_a_word():
    record = one({"chosen": "The sky is blue.", "rejected": "The sky is black."}, "trl_preference")  # both: "bl"
    assert record.messages == (user("The sky is"),)
    assert texts(record) == ["blue.", "black."]


def test_a_preference_keeps_who_when_why_and_how_strongly():
    row = {
        "prompt": "a", "chosen": "b", "rejected": "c", "annotator": 17.0, "time": 1714564800000,
        "rationale": " Shorter. ", "strength": "Significantly better", "seconds_spent": "12.5",
        "chosen_model": "m1", "rejected_model": "m2",
        "chosen_score": 4, "margin": 1.5, "id": "r1", "category": "maths", "language": "en", "split": "validation",
    }  # fmt: skip
    record = one(row, "trl_preference")
    [judgment] = record.judgments
    assert judgment.annotator == "17"  # a column of numbers with a hole in it is read as floats
    assert judgment.at == datetime(2024, 5, 1, 12, tzinfo=UTC)  # 1,714,564,800 s = 19,844.5 days after 1970-01-01
    assert judgment.rationale == "Shorter."
    assert judgment.strengths == ("significantly_better",)
    assert judgment.seconds_spent == 12.5
    assert judgment.source == {"margin": 1.5, "id": "r1"}
    assert [found.writer for found in record.completions] == ["m1", "m2"]
    assert record.completions[0].metadata == {"score": 4}
    assert record.metadata == {"category": "maths", "language": "en"}
    assert record.split == "eval"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "a", "chosen": "same", "rejected": "same"}, "same text, so there is nothing to choose. Leave"),
        ({"prompt": " ", "chosen": "b", "rejected": "c"}, '"prompt" is empty'),
        ({"prompt": "a", "chosen": " ", "rejected": " "}, "same text, so there is nothing to choose"),
        ({"prompt": "a", "chosen": "b", "rejected": None}, '"rejected" is null'),
        ({"prompt": "a", "chosen": "b", "rejected": float("inf")}, '"rejected" is a number'),
        ({"chosen": "blue", "rejected": "green"}, 'do not begin alike.*Add "prompt"'),
        ({"chosen": [assistant("b")], "rejected": [assistant("c")]}, 'no prompt. Add "prompt"'),
        ({"prompt": [user("a"), assistant("b")], "chosen": "c", "rejected": "d"}, "must be the user's"),
        ({"prompt": "a", "chosen": [user("b")], "rejected": [assistant("c")]}, "must be the assistant's answer"),
        (
            {"chosen": [user("a"), assistant("b")], "rejected": [user("z"), assistant("c")]},
            "differ before their last message",
        ),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "strength": "much"}, '"strength" is unknown'),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "time": "yesterday"}, "no time .yesterday.*2024-05-01T"),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "time": -5}, "no time"),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "time": 2024}, "no time"),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "rationale": ["x"]}, '"rationale" is a list'),
    ],
)
def test_a_pair_that_cannot_be_used_is_told_with_the_remedy(row, reason):
    with pytest.raises(Unusable, match=reason):
        formats.read(row, "trl_preference")


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-01T12:00:00Z",
        "2024-05-01 12:00:00",
        "2024-05-01 12:00:00.0 UTC",
        "2024-05-01T14:00:00+02:00",
        "Wed, 01 May 2024 12:00:00 GMT",
        1714564800,
        1714564800.0,
        "1714564800",
        1714564800000,
        1714564800000000,
        1714564800000000000,
    ],
)
def test_a_time_is_read_in_the_ways_in_which_it_is_written(written):
    row = {"prompt": "a", "chosen": "b", "rejected": "c", "timestamp": written}
    assert one(row, "trl_preference").judgments[0].at == datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_hh_transcripts_part_at_the_last_answer():
    begin = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Why?\n\nAssistant:"
    record = one({"chosen": f"{begin} So.", "rejected": f"{begin} No."}, "hh_rlhf")
    assert record.messages == (user("Hi"), assistant("Hello."), user("Why?"))
    assert texts(record) == ["So.", "No."]
    assert record.judgments[0].groups == FIRST
    said_apart = {"prompt": begin, "chosen": " So.", "rejected": " No."}
    assert texts(one(said_apart, "hh_rlhf")) == ["So.", "No."]


SAID_NOTHING = [
    ("trl_preference", {"prompt": "a", "chosen": "b", "rejected": ""}),
    ("trl_preference", {"prompt": "a", "chosen": [assistant("b")], "rejected": [assistant("")]}),
    ("trl_preference", {"chosen": [user("a"), assistant("b")], "rejected": [user("a"), assistant("")]}),
    ("hh_rlhf", {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant:"}),
    ("hh_rlhf", {"prompt": "\n\nHuman: a\n\nAssistant:", "chosen": " b", "rejected": ""}),
    ("openai_preference", {"input": {"messages": [user("a")]}, "preferred_output": [assistant("b")],
                           "non_preferred_output": [assistant("")]}),
    ("helpsteer2_preference", {"prompt": "a", "response_1": "b", "response_2": "", "preference_strength": -1}),
    ("helpsteer3", {"context": [user("a")], "response1": "b", "response2": "", "overall_preference": -1}),
    ("arena", {"winner": "model_a", "conversation_a": [user("a"), assistant("b")],
               "conversation_b": [user("a"), assistant("")]}),
    ("pandalm", {"instruction": "a", "response1": "b", "response2": "", "annotator1": 1}),
    ("llmbar", {"input": "a", "output_1": "b", "output_2": "", "label": 1}),
    ("rankings", {"prompt": "a", "completions": [{"text": "b"}, {"text": ""}], "ranking": [[0], [1]]}),
    ("stack_exchange_paired", {"question": "a", "response_j": "b", "response_k": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "row"), SAID_NOTHING, ids=[key for key, _ in SAID_NOTHING])
def test_a_model_that_said_nothing_can_be_judged(key, row):
    record = one(row, key)
    assert texts(record) == ["b", ""]
    assert [turn["content"] for turn in record.messages] == ["a"]
    assert record.judgments[0].groups == FIRST


def test_numbers_and_truth_values_are_answers_as_json_writes_them():
    assert texts(one({"prompt": "Is it?", "chosen": True, "rejected": 12}, "trl_preference")) == ["true", "12"]
    assert texts(one({"prompt": "How much?", "chosen": 0.5, "rejected": False}, "trl_preference")) == ["0.5", "false"]
    [alone] = formats.read({"question": "6 * 7?", "answer": 42}, "prompt_completion")
    assert texts(alone) == ["42"]


def test_an_only_completion_must_say_something():
    rows = [
        ("prompt_completion", {"prompt": "a", "completion": " "}),
        ("prompt_completion", {"prompt": "a", "completions": [""]}),
        ("trl_unpaired", {"prompt": "a", "completion": "", "label": True}),
        ("trl_unpaired", {"messages": [user("a"), assistant("")], "label": True}),
        ("mapped", {"prompt": "a", "completion": ""}),
    ]
    for key, row in rows:
        with pytest.raises(Unusable, match="completion is empty"):
            formats.read(row, key)


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: z\n\nAssistant: c", "part before the last answer"),
        ("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: z\n\nAssistant: ", "part before the last answer"),
        ("\n\nHuman: a\n\nAssistant: \n\nHuman: b", "\n\nHuman: a\n\nAssistant: b", "empty turn of the assistant"),
        ("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: a", "must be the assistant's answer"),
        ("\n\nHuman: \n\nAssistant: b", "\n\nHuman: \n\nAssistant: c", "empty turn of the user"),
        ("\n\nAssistant: b", "\n\nAssistant: c", "must be the user's"),
    ],
)
def test_hh_transcripts_that_share_no_prompt_are_told(chosen, rejected, reason):
    with pytest.raises(Unusable, match=reason):
        formats.read({"chosen": chosen, "rejected": rejected}, "hh_rlhf")


def binarized(chosen: float, rejected: float) -> dict:
    begin = [user("a")]
    return {
        "prompt": "a", "prompt_id": "7", "chosen": [*begin, assistant("b")], "rejected": [*begin, assistant("c")],
        "messages": [*begin, assistant("b")], "score_chosen": chosen, "score_rejected": rejected,
    }  # fmt: skip


def test_binarized_scores_are_kept_and_equal_ones_are_a_tie():
    record = one(binarized(8.5, 4.0), "ultrafeedback_binarized")
    [judgment] = record.judgments
    assert (judgment.groups, judgment.by) == (FIRST, "model")
    assert (judgment.source["score_chosen"], judgment.source["score_rejected"]) == (8.5, 4.0)
    assert one(binarized(6.0, 6.0), "ultrafeedback_binarized").judgments[0].groups == TIE


def test_scores_that_are_shares_of_votes_are_no_models():
    assert one(binarized(0.75, 0.25), "ultrafeedback_binarized").judgments[0].by == "votes"
    assert one(binarized(1.0, 0.0), "ultrafeedback_binarized").judgments[0].by == "unknown"  # a person's, or of all
