"""Sampling against a fake endpoint: what is asked for, what is kept, and what a second run does."""

import time

import pytest

from sampling.engine import run_dir as files
from sampling.engine.generate import run
from sampling.engine.requests import seed_of
from sampling.engine.run_dir import RunDirError
from tests.sampling.engine.fake_vllm import FakeVllm, completion


@pytest.fixture
def endpoint(tokenizer_dir):
    with FakeVllm(str(tokenizer_dir)) as fake:
        yield fake


def completions(run_dir):
    rows = files.read_json_lines(run_dir / "completions.jsonl")
    return {(row["prompt_id"], row["index"]): row["text"] for row in rows}


def test_every_prompt_gets_n_completions(make_run, endpoint):
    run_dir = make_run("Hello", "Good day", urls=[endpoint.url])

    result = run(run_dir)

    assert sorted(completions(run_dir)) == [("p0", 0), ("p0", 1), ("p1", 0), ("p1", 1)]
    assert (result.completions, result.new_completions, result.skipped) == (4, 4, 0)
    assert result.output_tokens == 4 * 3  # the fake says 3 for each
    progress = files.read_progress(run_dir)
    assert (progress["done"], progress["total"], progress["unit"]) == (4, 4, "completions")


def test_a_prompt_is_sent_as_the_tokens_of_its_chat_template(make_run, endpoint):
    run_dir = make_run("Hi", n=1, temperature=0.7, urls=[endpoint.url])

    run(run_dir)

    (body,) = endpoint.bodies
    assert len(body["prompt"]) == len("<user>Hi<assistant>")  # a token a byte, and nothing put before them
    assert (body["temperature"], body["max_tokens"]) == (0.7, 16)
    assert body["seed"] == seed_of(17, "p0", 0)


def test_a_second_run_samples_only_what_is_missing_with_the_same_seeds(make_run, endpoint):
    run_dir = make_run("Hello", "Good day", urls=[endpoint.url])
    run(run_dir)
    whole = completions(run_dir)
    lines = (run_dir / "completions.jsonl").read_text().splitlines(keepends=True)
    (run_dir / "completions.jsonl").write_text("".join(lines[:2]))
    endpoint.bodies.clear()

    result = run(run_dir)

    assert len(endpoint.bodies) == 2
    assert (result.completions, result.new_completions) == (4, 2)
    assert completions(run_dir) == whole


def test_a_torn_last_line_is_cut_off_and_sampled_again(make_run, endpoint):
    run_dir = make_run("Hello", urls=[endpoint.url])
    run(run_dir)
    path = run_dir / "completions.jsonl"
    whole = completions(run_dir)
    path.write_bytes(path.read_bytes()[:-10])

    run(run_dir)

    assert completions(run_dir) == whole
    assert len(path.read_text().splitlines()) == 2


def test_a_complete_run_asks_nobody(make_run, endpoint):
    run_dir = make_run("Hello", urls=[endpoint.url])
    run(run_dir)
    endpoint.bodies.clear()

    assert run(run_dir).new_completions == 0
    assert endpoint.bodies == []


def test_a_prompt_that_does_not_fit_is_skipped_with_the_reason(make_run, endpoint):
    # <user> and <assistant> are 6 + 11 = 17 tokens; 64 - 16 = 48 fit beside the completion.
    run_dir = make_run("x" * 31, "x" * 32, urls=[endpoint.url])

    result = run(run_dir)

    assert sorted(completions(run_dir)) == [("p0", 0), ("p0", 1)]
    assert (result.completions, result.skipped) == (2, 1)
    (row,) = files.read_json_lines(run_dir / "skipped.jsonl")
    assert row == {
        "prompt_id": "p1",
        "reason": "The prompt is 49 tokens long; 48 fit beside a completion of 16 tokens.",
    }


def test_a_prompt_that_the_chat_template_refuses_is_skipped_with_the_reason(make_run, endpoint):
    refused = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    run_dir = make_run(refused, "Hi", urls=[endpoint.url])

    run(run_dir)

    (row,) = files.read_json_lines(run_dir / "skipped.jsonl")
    assert row["prompt_id"] == "p0"
    assert "System messages are not supported" in row["reason"]


def test_what_was_kept_survives_an_endpoint_that_fails(make_run, endpoint):
    run_dir = make_run("one", "two", "three", n=1, urls=[endpoint.url])

    def fail_at_last(body):
        if len(body["prompt"]) == 17 + len("one"):
            return completion("fine", tokens=1)
        for _ in range(500):
            if len(completions(run_dir)) == 2:
                break
            time.sleep(0.02)
        return 400, {"error": {"message": "no room"}}

    endpoint.reply = fail_at_last
    with pytest.raises(RunDirError, match=r"refuses a completion .400.: no room"):
        run(run_dir)
    assert completions(run_dir) == {("p0", 0): "fine", ("p1", 0): "fine"}

    endpoint.reply = lambda body: completion("later", tokens=1)
    run(run_dir)

    assert completions(run_dir) == {("p0", 0): "fine", ("p1", 0): "fine", ("p2", 0): "later"}


def test_a_model_directory_that_is_gone_is_named(make_run):
    run_dir = make_run("Hi", model="/nowhere/policy")

    with pytest.raises(RunDirError, match=r"/nowhere/policy does not exist\. Check the path"):
        run(run_dir)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "a"}', "line 2: a prompt is"),
        ('{"id": "p0", "messages": [{"role": "user", "content": "x"}]}', 'line 2: the id "p0" comes twice'),
        ("{broken", "line 2 is not valid JSON"),
    ],
)
def test_a_bad_prompt_is_named_by_its_line(make_run, line, problem):
    run_dir = make_run("Hi")
    with (run_dir / "prompts.jsonl").open("a") as file:
        file.write(line + "\n")

    with pytest.raises(RunDirError, match=problem):
        run(run_dir)
