"""What the training stages share: arguments, and the check that weights moved."""

import json

import pytest
import torch

from sampling.engine.run_dir import RunDirError, read_metrics
from tests.training.pipeline.runs import stage_dir
from tests.training.pipeline.stages import training_dir
from training.pipeline import arguments, sft, trainers
from training.pipeline.arguments import training_arguments
from training.pipeline.trainers import Stage, WeightWatch
from training.recipe import Dpo


@pytest.fixture
def stage(tmp_path):
    return Stage.start(stage_dir(tmp_path / "dpo", "dpo", inputs={"policy": tmp_path}))


def told_arguments(stage, *, rows, **changes):
    return training_arguments(Dpo.parse(stage.told | changes, source="the test"), rows=rows, stage=stage)


def test_a_batch_is_made_of_micro_batches(stage):
    told = told_arguments(stage, rows=100, batch=32, micro_batch=4)
    assert told["per_device_train_batch_size"] == 4
    assert told["gradient_accumulation_steps"] == 8


def test_several_processes_share_a_batch(stage, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert told_arguments(stage, rows=100, batch=32, micro_batch=4)["gradient_accumulation_steps"] == 2


def test_warming_up_takes_the_larger_of_the_share_and_the_least_number_of_steps(stage):
    # 3,200 rows in batches of 8 are 400 steps; 3 % of them is 12. 800 rows are 100 steps: 3 would be fewer than 5.
    assert told_arguments(stage, rows=3200, batch=8, micro_batch=8)["warmup_steps"] == 12
    assert told_arguments(stage, rows=800, batch=8, micro_batch=8)["warmup_steps"] == 5


def test_a_short_run_does_not_warm_up(stage):
    # 32 rows are four steps.
    assert told_arguments(stage, rows=32, batch=8, micro_batch=8)["warmup_steps"] == 0


def test_nothing_is_sent_anywhere_and_no_pickle_is_saved(stage):
    told = told_arguments(stage, rows=100)
    assert told["report_to"] == []
    assert told["save_strategy"] == "no"


def test_a_stage_that_starts_again_takes_away_what_the_last_attempt_logged(stage):
    (stage.run_dir / "metrics.jsonl").write_text(json.dumps({"step": 9}) + "\n")
    assert read_metrics(Stage.start(stage.run_dir).run_dir) == []


def test_the_share_of_weights_that_moved_is_what_survives_storing():
    model = torch.nn.Linear(4, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    watch = WeightWatch(model)
    with torch.no_grad():
        # Above 1, bf16 tells apart steps of 2^-7 = 0.0078: 0.001 is lost, 0.01 is not.
        model.weight += torch.tensor([[0.0, 0.001, 0.01, 0.5]])
    assert watch.share_changed(model, torch.float32) == 0.75
    assert watch.share_changed(model, torch.bfloat16) == 0.5


def test_training_that_moves_nothing_is_an_error_with_the_remedy():
    model = torch.nn.Linear(4, 1, bias=False)
    watch = WeightWatch(model)
    with pytest.raises(RunDirError, match="Raise learning_rate or epochs"):
        watch.share_changed(model, torch.bfloat16)


def test_trained_weights_are_kept_in_32_bits(stage, monkeypatch):
    monkeypatch.setattr(arguments, "can_bf16", lambda: True)
    full = Dpo.parse(stage.told, source="the test")
    lora = Dpo.parse(stage.told | {"method": "lora"}, source="the test")
    assert arguments.working_dtype(full) == torch.float32
    assert arguments.working_dtype(lora) == torch.bfloat16  # the base, which does not move


def test_a_directory_without_a_model_is_refused_by_its_path(tmp_path):
    with pytest.raises(RunDirError, match="holds no model"):
        trainers.check_model_is_there(str(tmp_path / "none"))


def test_a_policy_without_a_chat_template_is_refused(tmp_path, policy):
    tokenizer = trainers.load_tokenizer(str(policy))
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((policy / "config.json").read_text())
    with pytest.raises(RunDirError, match="has no chat template"):
        trainers.load_tokenizer(str(tmp_path))


def test_leaving_prompts_out_of_the_language_model_head_changes_no_loss_of_fine_tuning(
    tmp_path, policy, in_32_bits, monkeypatch
):
    # Rows of unlike length, so that there is padding to leave out as well.
    losses = []
    for name in ("everything", "completions"):
        run_dir = training_dir(tmp_path / name, "sft", policy)
        with monkeypatch.context() as patch:
            patch.setattr("trl.trainer.utils._use_triton", lambda device: False)
            if name == "everything":
                patch.setattr("training.pipeline.trainers.project_completions_only", lambda: None)
            sft.run(run_dir)
        losses.append([row["loss"] for row in read_metrics(run_dir)])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert len(set(losses[0])) > 1  # it did train
