"""SFT on a tiny policy."""

import pytest

from sampling.engine.run_dir import RunDirError
from tests.training.pipeline.runs import read_lines, stage_dir, write_lines
from training.pipeline import sft
from training.pipeline.trainers import Stage, load_tokenizer
from training.recipe import Sft

TURNS = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "first"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "second"},
]


def row(number=0, answer="yes yes yes"):
    return {
        "prompt_id": str(number),
        "messages": [
            {"role": "user", "content": f"Question {number}?"},
            {"role": "assistant", "content": answer},
        ],
    }


def sft_dir(tmp_path, policy, rows, **changes):
    inputs = {"policy": policy, "rows": write_lines(tmp_path / "kept.jsonl", rows)}
    return stage_dir(tmp_path / "sft", "sft", inputs=inputs, **changes)


def test_training_lowers_the_loss_and_moves_the_weights(tmp_path, policy):
    run_dir = sft_dir(tmp_path, policy, [row(i) for i in range(16)], learning_rate=1e-2, epochs=5)
    result = sft.run(run_dir)
    assert result.rows == 16
    assert result.final_loss < 0.7 * result.first_loss
    assert result.weights_changed > 0.5
    assert (run_dir / "checkpoint" / "model.safetensors").is_file()


def test_the_loss_is_on_the_last_assistant_turn_and_its_end_alone(tmp_path, policy):
    stage = Stage.start(sft_dir(tmp_path, policy, [{"messages": TURNS}]))
    tokenizer = load_tokenizer(str(policy))
    trainer = sft.make_trainer(stage, Sft.parse(stage.told, source="the test"), tokenizer, [TURNS])
    (batch,) = trainer.get_train_dataloader()
    (labels,) = batch["labels"]
    learned = tokenizer.decode(labels[labels != -100])
    assert learned.rstrip() == "second<|im_end|>"
    assert tokenizer.decode(batch["input_ids"][0]).startswith("<|im_start|>user\nOne?")


def test_empty_and_over_long_rows_are_dropped_counted_and_listed(tmp_path, policy):
    rows = [row(1), row(2), row(3, answer=" "), row(4, answer="x" * 600)]
    run_dir = sft_dir(tmp_path, policy, rows)
    result = sft.run(run_dir)
    assert result.rows == 2
    assert result.dropped == {"empty": 1, "too_long": 1}
    listed = [(row["stage"], row["reason"], row["prompt_id"]) for row in read_lines(run_dir / "dropped.jsonl")]
    assert listed == [("sft", "empty", "3"), ("sft", "too_long", "4")]


def test_too_few_rows_are_refused_with_the_remedy(tmp_path, policy):
    with pytest.raises(RunDirError, match="has 1 usable rows; SFT needs at least 2"):
        sft.run(sft_dir(tmp_path, policy, [row(1)]))


def test_a_row_that_does_not_end_with_the_assistant_is_refused_by_its_line(tmp_path, policy):
    with pytest.raises(RunDirError, match=r"kept.jsonl, line 2: .* ends with the assistant"):
        sft.run(sft_dir(tmp_path, policy, [row(1), {"messages": TURNS[:3]}]))


def test_adapters_are_merged(tmp_path, policy):
    run_dir = sft_dir(tmp_path, policy, [row(i) for i in range(4)], method="lora", learning_rate=1e-2, lora_rank=4)
    sft.run(run_dir)
    assert not list((run_dir / "checkpoint").glob("adapter*"))
