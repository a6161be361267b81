"""stage.json is checked as it is read, and seeds are what they are said to be."""

import pytest

from sampling.engine import run_dir as files
from sampling.engine.requests import Settings, seed_of
from sampling.engine.run_dir import RunDirError

TOLD = {"model": "models/june", "prompts": "prompts.jsonl", "n": 4}


def test_what_is_left_out_has_a_default(tmp_path):
    files.write_stage(tmp_path, TOLD | {"urls": ["http://a"]})

    settings = Settings.read(tmp_path)

    assert (settings.temperature, settings.top_p, settings.urls) == (1.0, 1.0, ("http://a",))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"n": 0}, "n is 0; it must be a whole number, at least 1"),
        ({"n": "4"}, "n is '4'"),
        ({"seed": -1}, "seed is -1"),
        ({"max_tokens": 64, "max_model_len": 64}, "leaves no room for a prompt"),
        ({"temperature": 2.5}, "temperature is 2.5"),
        ({"top_p": 0}, "top_p 0"),
        ({"top_k": 5}, 'unknown key "top_k"'),
    ],
)
def test_an_impossible_value_is_named(tmp_path, change, problem):
    files.write_stage(tmp_path, TOLD | change)

    with pytest.raises(RunDirError, match=problem):
        Settings.read(tmp_path)


def test_a_missing_key_is_named(tmp_path):
    files.write_stage(tmp_path, {"model": "models/june", "n": 4})

    with pytest.raises(RunDirError, match='lacks "prompts"'):
        Settings.read(tmp_path)


def test_a_seed_depends_on_run_prompt_and_index_and_on_nothing_else():
    assert seed_of(17, "p0", 3) == seed_of(17, "p0", 0) + 3  # as vLLM numbers the parts of one request
    assert len({seed_of(seed, prompt, 0) for seed in (17, 18) for prompt in ("p0", "p1")}) == 4
    assert 0 <= seed_of(17, "p0", 0) < 2**48
