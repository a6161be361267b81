"""Formats that rank more than two: our own rows, ratings, upvotes, trees, and pairwise preferences among four."""

from datetime import UTC, datetime
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.intake import formats
from sampling.intake.formats.fine_grained_rlhf import ranking_of
from sampling.intake.formats.preferences import by_scores
from sampling.intake.formats.stack_exchange import score_of
from sampling.json_lines import Unusable


def one(row: dict, key: str):
    assert formats.recognise([row]) == key
    [record] = formats.read(row, key)
    return record


def ranking_row(**changed) -> dict:
    completions = [{"text": "b", "model": "m1"}, {"text": "c", "model": "m2"}, {"text": "d", "model": "m3"}]
    return {
        "prompt": [{"role": "user", "content": "a"}],
        "completions": completions,
        "ranking": [[1], [0, 2]],
    } | changed


def test_a_ranking_keeps_its_ties_strengths_annotator_and_time():
    row = ranking_row(
        strengths=["slightly_better"], annotator="annotator-1f", kind="simulated", time="2026-06-01T12:00:00Z",
        rationale="Short.", all_bad=True, seconds_spent=8.25, judgment_id=3, split="eval",
    )  # fmt: skip
    record = one(row, "rankings")
    [judgment] = record.judgments
    assert judgment.groups == ((1,), (0, 2))
    assert judgment.strengths == ("slightly_better",)
    assert (judgment.annotator, judgment.by, judgment.all_bad) == ("annotator-1f", "model", True)
    assert judgment.at == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert (judgment.rationale, judgment.seconds_spent, judgment.source) == ("Short.", 8.25, {"judgment_id": 3})
    assert [found.writer for found in record.completions] == ["m1", "m2", "m3"]
    assert record.split == "eval"


def test_ranks_may_stand_for_a_ranking():
    record = one(ranking_row(ranking=None, ranks=[2, 1, 2]), "rankings")
    assert record.judgments[0].groups == ((1,), (0, 2))


def test_marks_of_a_completion_are_the_annotators():
    completions = [
        {"text": "b", "safety": "safe", "seed": 1},
        {"text": "c", "safety": "unsafe", "aspects": {"tone": 3}},
    ]
    record = one(ranking_row(completions=completions, ranking=[[0, 1]]), "rankings")
    assert record.judgments[0].marks == {0: {"safety": "safe"}, 1: {"safety": "unsafe", "aspects": {"tone": 3}}}
    assert [found.metadata for found in record.completions] == [{"seed": 1}, {}]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ranking": [[1], [0]]}, "each of the 3 completions once"),
        ({"ranking": [[1], [0, 2, 1]]}, "each of the 3 completions once"),
        ({"ranking": [[1], [0, 3]]}, "by 0 to 2"),
        ({"ranking": [[1], [0, True]]}, "by their positions"),
        ({"ranking": [[1], [], [0, 2]]}, "list of groups"),
        ({"ranking": [1, 0, 2]}, "list of groups"),
        ({"strengths": ["better", "better"]}, "must be a list of 1"),
        ({"strengths": ["huge"]}, '"strengths" is unknown'),
        ({"completions": [{"text": "b"}]}, "at least two"),
        ({"completions": [{"text": "b"}, {"text": "c"}, {"text": "b"}], "ranking": [[0], [1], [2]]}, "ranked apart"),
        ({"completions": ["b", "b", "b"], "ranking": [[0, 1, 2]]}, "the same text"),
        ({"ranking": None, "ranks": [1, 2]}, "2 ranks for 3 completions"),
    ],
)
def test_a_ranking_that_is_none_is_told(changed, reason):
    with pytest.raises(Unusable, match=reason):
        formats.read(ranking_row(**changed), "rankings")


def test_two_equal_completions_may_be_tied_among_others():
    row = ranking_row(completions=["b", "c", "b"], ranking=[[0, 2], [1]])
    assert one(row, "rankings").judgments[0].groups == ((0, 2), (1,))


def ultrafeedback(*completions: dict) -> dict:
    return {"source": "flan", "instruction": "a", "models": ["m"], "completions": list(completions)}


def rated(text: str, score: object, **more) -> dict:
    return {"model": f"model-{text}", "response": text, "overall_score": score} | more


def test_ultrafeedback_ranks_four_by_the_overall_score():
    row = ultrafeedback(rated("b", 7.5), rated("c", "9"), rated("d", 7.5, critique="Dull."), rated("e", 1))
    record = one(row, "ultrafeedback")
    [judgment] = record.judgments
    assert judgment.groups == ((1,), (0, 2), (3,))  # 9; 7.5 twice; 1
    assert (judgment.by, judgment.annotator) == ("model", "gpt-4")
    assert judgment.rationale == "model-d: Dull."
    assert judgment.source == {"ranked_by": "overall_score", "scores": [7.5, 9, 7.5, 1]}
    assert record.metadata == {"source": "flan"}


def test_ultrafeedback_without_overall_scores_goes_by_the_mean_of_the_ratings():
    def ratings(*given: str) -> dict:
        return {"annotations": {f"aspect{at}": {"Rating": rating} for at, rating in enumerate(given)}}

    # (5 + 4) / 2 = 4.5 is above 4, of which the "N/A" is none
    row = ultrafeedback(rated("b", None, **ratings("4", "N/A")), rated("c", None, **ratings("5", "4")))
    record = one(row, "ultrafeedback")
    assert record.judgments[0].groups == ((1,), (0,))
    assert record.judgments[0].source["ranked_by"] == "fine-grained_score"
    assert record.completions[1].metadata["ratings"] == {"aspect0": 5, "aspect1": 4}


@pytest.mark.parametrize(
    ("upvotes", "accepted", "score"),
    [
        (-3, True, -1),  # below zero is -1, accepted or not
        (0, False, 0),  # log2(1) = 0
        (0, True, 1),
        (1, False, 1),  # log2(2) = 1
        (2, False, 2),  # log2(3) = 1.58
        (10, False, 3),  # log2(11) = 3.46
        (11, True, 5),  # log2(12) = 3.58 -> 4, and 1
    ],
)
def test_stackllamas_score(upvotes, accepted, score):
    assert score_of(upvotes, accepted=accepted) == score


def test_stack_exchange_answers_are_ranked_by_stackllamas_score():
    answers = [
        {"answer_id": 1, "text": "b", "upvotes": 5, "accepted": False, "author": "Ann"},  # log2(6) = 2.58 -> 3
        {"answer_id": 2, "text": "c", "upvotes": 3, "accepted": True, "author": "Bob"},  # log2(4) + 1 = 3
        {"answer_id": 3, "text": "d", "upvotes": -1, "accepted": False, "author": "Cem"},
    ]
    record = one({"qid": 7, "question": "a", "answers": answers}, "stack_exchange")
    [judgment] = record.judgments
    assert judgment.groups == ((0, 1), (2,))
    assert (judgment.by, judgment.source) == ("votes", {"qid": 7, "scores": [3, 3, -1]})
    assert record.completions[0].metadata == {"answer_id": 1, "upvotes": 5, "accepted": False, "pm_score": 3}
    assert "Ann" not in repr(record)
    published = [{"text": "b", "pm_score": 1, "selected": False}, {"text": "c", "pm_score": 4, "selected": True}]
    assert one({"question": "a", "answers": published}, "stack_exchange").judgments[0].groups == ((1,), (0,))


def test_of_many_answers_the_best_nine_are_ranked():
    answers = [{"text": f"answer {at}", "upvotes": 2**at - 1, "accepted": False} for at in range(12)]  # scores 0 to 11
    record = one({"question": "a", "answers": answers}, "stack_exchange")
    assert [found.text for found in record.completions] == [f"answer {at}" for at in range(3, 12)]
    assert record.judgments[0].groups == tuple((at,) for at in reversed(range(9)))


def said(text: str, role: str, *replies: dict, **more) -> dict:
    return {"message_id": text, "text": text, "role": role, "lang": "en", "replies": list(replies), **more}


def test_each_message_with_ranked_replies_is_a_record():
    deep = said("why?", "prompter", said("x", "assistant", rank=1), said("y", "assistant", rank=0))
    tree = said(
        "hi",
        "prompter",
        said("b", "assistant", deep, rank=1, model_name="m1"),
        said("c", "assistant", rank=0),
        said("gone", "assistant", rank=2, deleted=True),
        said("unranked", "assistant", rank=None),
    )
    row = {"message_tree_id": "t", "tree_state": "ready_for_export", "prompt": tree}
    assert formats.recognise([row]) == "open_assistant"
    first, second = formats.read(row, "open_assistant")
    assert [found.text for found in first.completions] == ["b", "c"]
    assert first.judgments[0].groups == ((1,), (0,))
    assert first.judgments[0].by == "votes"
    assert first.metadata == {"message_tree_id": "t", "language": "en", "message_id": "hi"}
    assert [turn["content"] for turn in second.messages] == ["hi", "b", "why?"]
    assert second.judgments[0].groups == ((1,), (0,))
    assert formats.read(tree, "open_assistant") == formats.read({"prompt": tree}, "open_assistant")


def test_a_tree_without_ranks_gives_its_first_message_with_the_replies():
    record = one({"message_tree_id": "t", "prompt": said("hi", "prompter", said("b", "assistant"))}, "open_assistant")
    assert [found.text for found in record.completions] == ["b"]
    assert record.judgments == ()


def test_a_tree_as_deep_as_json_allows_is_read():
    tree = said("deepest", "prompter")
    for depth in range(400):
        tree = said(f"{depth}", "assistant" if depth % 2 == 0 else "prompter", tree)
    assert formats.read({"prompt": tree}, "open_assistant")


def fine_grained(preference: list) -> dict:
    return {
        "question": "a?", "passages": [["T", "S1.", "S2."], ["U", "S3."]], "preference": preference, "gold": "g",
        **{f"prediction {n}": f"p{n}" for n in range(1, 5)},
    }  # fmt: skip


def test_six_preferences_that_agree_are_one_ranking():
    # 1-2 first, 1-3 tie, 1-4 first, 2-3 second, 2-4 tie, 3-4 first: 1 and 3 above 2 and 4
    record = one(fine_grained([1, 0, 1, 2, 0, 1]), "fine_grained_rlhf")
    assert record.judgments[0].groups == ((0, 2), (1, 3))
    assert record.messages[0]["content"] == "question: a? context: wikipage: T text: S1. S2. | wikipage: U text: S3."


def test_six_preferences_that_go_in_a_circle_are_six_pairs():
    # 1 above 2, 2 above 3, 3 above 1: no ranking says so
    records = formats.read(fine_grained([1, 2, 1, 1, 1, 0]), "fine_grained_rlhf")
    assert [tuple(found.text for found in record.completions) for record in records] == [
        ("p1", "p2"), ("p1", "p3"), ("p1", "p4"), ("p2", "p3"), ("p2", "p4"), ("p3", "p4"),
    ]  # fmt: skip
    assert [record.judgments[0].groups for record in records] == [
        ((0,), (1,)), ((1,), (0,)), ((0,), (1,)), ((0,), (1,)), ((0,), (1,)), ((0, 1),),
    ]  # fmt: skip
    assert all(record.judgments[0].source["not_transitive"] for record in records)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_the_preferences_of_any_ranking_give_that_ranking_back(scores):
    preferences = {
        (low, high): 0 if scores[low] == scores[high] else 1 if scores[low] > scores[high] else 2
        for low, high in combinations(range(4), 2)
    }
    assert ranking_of(preferences) == by_scores(scores)


@pytest.mark.parametrize("preference", [[1, 1, 1], [1, 1, 1, 1, 1, 3], "111111", None])
def test_preferences_of_another_shape_are_told(preference):
    with pytest.raises(Unusable, match="preference"):
        formats.read(fine_grained(preference), "fine_grained_rlhf")
