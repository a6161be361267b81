"""An engine in a child process, which is told one run after another; the engine in it is no vLLM."""

import json

import pytest

from sampling.engine import run_dir as files
from sampling.engine.child import EngineChild, GenerationFailed
from tests.sampling.engine import fake_engine


@pytest.fixture
def make(tmp_path):
    """``make("first", "policy")`` writes the run directory of one prompt for that policy."""

    def run_dir(name, policy, *, n=1, max_model_len=64):
        told = {"model": str(tmp_path / policy), "prompts": "prompts.jsonl", "n": n, "max_tokens": 16}
        files.write_stage(tmp_path / name, told | {"max_model_len": max_model_len})
        prompt = {"id": "p0", "messages": [{"role": "user", "content": "Hi"}]}
        (tmp_path / name / "prompts.jsonl").write_text(json.dumps(prompt) + "\n")
        return tmp_path / name

    return run_dir


@pytest.fixture
def noted(tmp_path):
    return lambda: (tmp_path / fake_engine.NOTES).read_text().splitlines()


@pytest.fixture
def engine():
    with EngineChild(fake_engine.__name__) as child:
        yield child


def texts(run_dir):
    return [row["text"].strip() for row in files.read_json_lines(run_dir / "completions.jsonl")]


def test_one_engine_samples_one_run_after_another(engine, make, noted):
    seen = []
    first = engine(make("first", "a", max_model_len=96), on_progress=seen.append)
    second = engine(make("second", "a", n=2))
    assert (first["new_completions"], second["new_completions"]) == (1, 2)
    assert texts(make("second", "a")) == ["a p0 0", "a p0 1 so"]
    assert seen[-1]["done"] == 1
    engine.make_room()  # there is enough
    engine(make("third", "a"))
    assert noted() == ["start a 96"]


def test_another_policy_or_longer_texts_get_an_engine_of_their_own_in_the_place_of_the_first(engine, make, noted):
    engine(make("first", "a"))
    engine(make("second", "b"))
    engine(make("third", "b", max_model_len=128))
    assert texts(make("second", "b")) == ["b p0 0"]
    assert noted() == ["start a 64", "close a", "start b 64", "close b", "start b 128"]


def test_where_two_models_do_not_fit_the_engine_is_closed_and_started_again(engine, make, noted, tmp_path):
    engine(make("first", "a"))
    (tmp_path / fake_engine.NO_ROOM).touch()
    engine.make_room()
    engine(make("second", "a"))
    assert noted() == ["start a 64", "close a", "start a 64"]


def test_what_is_complete_starts_no_engine(engine, make, tmp_path):
    run_dir = make("first", "a")
    there = {"prompt_id": "p0", "index": 0, "text": "Hi", "tokens": 1, "finish_reason": "stop"}
    (run_dir / "completions.jsonl").write_text(json.dumps(there) + "\n")
    result = engine(run_dir)
    assert (result["completions"], result["new_completions"]) == (1, 0)
    assert result == files.read_result(run_dir)
    assert not (tmp_path / fake_engine.NOTES).exists()


def test_a_failure_is_told_in_the_childs_own_words_and_the_next_run_gets_a_child_of_its_own(engine, make, noted):
    with pytest.raises(GenerationFailed, match=r"stage\.json: n is 0; it must be a whole number, at least 1"):
        engine(make("first", "a", n=0))
    with pytest.raises(GenerationFailed, match="exit code -9, most likely out of memory"):
        engine(make("second", "deadly"))
    assert engine(make("third", "a"))["completions"] == 1
    assert noted() == ["start deadly 64", "start a 64"]


def test_nothing_to_sample_starts_no_child():
    with EngineChild("there.is.no.such.module") as engine:
        engine.make_room()
