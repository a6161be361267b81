"""The real engine with the real model: complete, resumable, stable, started once, and the model answers."""

import json

import pytest

from sampling.engine import run_dir as files
from sampling.engine.child import EngineChild

QUESTIONS = ["What is the capital of France?", "Name three colours.", "Say hello.", "What is a lake?"]


@pytest.mark.slow
@pytest.mark.whole_machine
def test_a_run_on_the_real_engine_is_resumed_with_the_same_completions(tmp_path, demo_model):
    rows = [
        {"id": str(number), "messages": [{"role": "user", "content": text}]} for number, text in enumerate(QUESTIONS)
    ]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"model": str(demo_model), "prompts": "prompts.jsonl", "n": 2, "seed": 3, "temperature": 0.7}
    files.write_stage(tmp_path, told | {"max_tokens": 24, "max_model_len": 256})

    with EngineChild() as engine:
        sample_and_resume(tmp_path, engine)


def sample_and_resume(tmp_path, engine):
    result = engine(tmp_path)
    assert result["engine_start_seconds"] > 0

    path = tmp_path / "completions.jsonl"
    whole = {(row["prompt_id"], row["index"]): row for row in files.read_json_lines(path)}
    assert sorted(whole) == [(str(number), index) for number in range(4) for index in range(2)]
    assert any("Paris" in whole["0", index]["text"] for index in range(2))
    assert all(1 <= row["tokens"] <= 24 for row in whole.values())
    assert {row["finish_reason"] for row in whole.values()} <= {"stop", "length"}
    assert result["output_tokens"] == sum(row["tokens"] for row in whole.values())

    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5]) + lines[5][:20])  # killed while it wrote its sixth
    result = engine(tmp_path)

    assert (result["completions"], result["new_completions"]) == (8, 3)
    assert result["engine_start_seconds"] < 1  # the same one
    again = {(row["prompt_id"], row["index"]): row for row in files.read_json_lines(path)}
    assert sorted(again) == sorted(whole)
    # Not every text: in bfloat16 a batch of another size may round one logit differently.
    assert sum(again[key]["text"] == whole[key]["text"] for key in whole) >= 6
