"""A policy as judge: the question, its two orders, and what counts as a verdict."""

import json

import pytest

from tests.training.pipeline.runs import FakeEngine, read_lines, stage_dir
from training.pipeline import model_judge
from training.pipeline.completions import Completion, Prompt
from training.pipeline.meetings import Meeting
from training.pipeline.model_judge import both_orders, letter_in, question
from training.pipeline.trainers import Stage
from training.recipe import Evaluate

PROMPT = [{"role": "user", "content": "Why {so} blue?"}]


def meeting(prompt_id="p0", *, new="Because of the air.", other="It is.", opponent="old"):
    sides = (Completion(prompt_id, 0, text, len(text.split()), "stop") for text in (new, other))
    return Meeting(Prompt(prompt_id, PROMPT), opponent, *sides)


def judged(tmp_path, meetings, replies, *, policy="critic"):
    """``replies`` by the question's order, or all the same."""

    def answer(model, question_id, index):
        reply = replies if isinstance(replies, str) else replies[question_id.rsplit("/", 1)[-1]]
        return reply, "stop"

    engine = FakeEngine(answer)
    run_dir = stage_dir(tmp_path / "evaluate", "evaluate", inputs={})
    stage = Stage.start(run_dir)
    recipe = Evaluate.parse(stage.told, source="the test")
    return model_judge.verdicts(stage, recipe, meetings, policy=str(tmp_path / policy), generate=engine), engine


def made_for(directory, *, tokens):
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"max_position_embeddings": tokens}))


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("[[A]]", "A"),
        (" [[B]].\n", "B"),
        ("The verdict is [[C]]", "C"),
        ("A", None),
        ("[A]", None),
        ("[[D]]", None),
        ("[[a]]", None),
        ("[[A]] or [[B]]", None),
        ("[[A]] [[A]]", None),
        ("", None),
    ],
)
def test_a_verdict_is_exactly_one_letter_in_double_brackets(reply, letter):
    assert letter_in(reply) == letter


@pytest.mark.parametrize(
    ("first", "swapped", "verdict"),
    [
        ("A", "B", 1.0),  # the new one, wherever it stands
        ("B", "A", 0.0),
        ("A", "A", 0.5),  # a preference for the place
        ("B", "B", 0.5),
        ("C", "C", 0.5),
        ("A", "C", 0.5),
        ("A", None, 0.5),  # what held in one order only is no win
        (None, "A", 0.5),
        (None, None, None),
    ],
)
def test_only_what_holds_in_both_orders_is_a_win_or_a_loss(first, swapped, verdict):
    assert both_orders(first, swapped) == verdict


def test_each_pair_is_asked_in_both_orders(tmp_path):
    verdicts, _ = judged(tmp_path, [meeting()], {"new-first": "[[A]]", "new-second": "[[B]]"})
    assert verdicts == [1.0]
    first, swapped = read_lines(tmp_path / "evaluate" / "sampling_judge" / "prompts.jsonl")
    assert first["messages"] == question(PROMPT, "Because of the air.", "It is.")
    assert swapped["messages"] == question(PROMPT, "It is.", "Because of the air.")


def test_the_judge_answers_greedily_and_has_room_for_both_answers(tmp_path):
    made_for(tmp_path / "large", tokens=4096)
    judged(tmp_path, [meeting()], "[[A]]", policy="large")
    told = json.loads((tmp_path / "evaluate" / "sampling_judge" / "stage.json").read_text())
    assert (told["temperature"], told["n"]) == (0.0, 1)
    # The smoke recipe's prompt and completion fit 512, another completion of 16, then the words around and the reply.
    assert told["max_model_len"] == 512 + 16 + 384 + 16


def test_a_judge_is_not_asked_for_more_than_it_was_made_for(tmp_path):
    made_for(tmp_path / "small", tokens=600)
    judged(tmp_path, [meeting()], "[[A]]", policy="small")
    told = json.loads((tmp_path / "evaluate" / "sampling_judge" / "stage.json").read_text())
    assert told["max_model_len"] == 600


def test_a_judge_that_always_takes_the_first_prefers_nobody(tmp_path):
    assert judged(tmp_path, [meeting("p0"), meeting("p1")], "[[A]]")[0] == [0.5, 0.5]


def test_what_cannot_be_read_is_no_verdict(tmp_path):
    assert judged(tmp_path, [meeting()], "Both have their merits.")[0] == [None]


def test_the_same_texts_are_a_tie_without_asking(tmp_path):
    verdicts, engine = judged(tmp_path, [meeting(new="Yes.", other="Yes.")], "[[A]]")
    assert (verdicts, engine.models) == ([0.5], [])


def test_two_opponents_on_one_prompt_are_two_questions(tmp_path):
    verdicts, engine = judged(
        tmp_path, [meeting(), meeting(opponent="base")], {"new-first": "[[A]]", "new-second": "[[B]]"}
    )
    assert verdicts == [1.0, 1.0]
    assert len(engine.models) == 1


def test_the_question_holds_the_conversation_and_both_answers_and_braces_are_harmless():
    (message,) = question([{"role": "system", "content": "Be kind."}, *PROMPT], "{a}", "{b}")
    assert message["role"] == "user"
    for part in ("System: Be kind.", "User: Why {so} blue?", "[Answer A]\n{a}\n", "[Answer B]\n{b}\n"):
        assert part in message["content"]
