"""From a recipe to TRL's words."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from transformers import TrainingArguments, get_scheduler

from sampling.engine.run_dir import RunDirError
from tests.training.pipeline.runs import pair, stage_dir, write_lines
from tests.training.pipeline.stages import tokenised
from training.pipeline import arguments, dpo
from training.pipeline.arguments import order_of, training_arguments
from training.pipeline.reference_cache import ReferenceCache
from training.pipeline.trainers import Stage, load_tokenizer
from training.recipe import Dpo

RECIPE = Dpo(method="full", learning_rate=1e-5, epochs=2, batch=512, max_length=512, precision="fp32")


def changed(**changes):
    return dataclasses.replace(RECIPE, **changes)


@pytest.fixture
def told(tmp_path):
    """TRL's words for a recipe and a number of rows."""
    stage = SimpleNamespace(run_dir=tmp_path, seed=17, inputs={})
    return lambda rows=100_000, **changes: training_arguments(changed(**changes), rows=rows, stage=stage)


def rates(told_arguments, *, steps: int) -> list[float]:
    """The learning rate of each step, as transformers computes it from these words."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=told_arguments["learning_rate"])
    scheduler = get_scheduler(
        told_arguments["lr_scheduler_type"],
        optimizer,
        num_warmup_steps=told_arguments["warmup_steps"],
        num_training_steps=steps,
        scheduler_specific_kwargs=told_arguments.get("lr_scheduler_kwargs", {}),
    )
    found = []
    for _ in range(steps + 1):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


def test_the_olm_schedule_in_trls_words(told):
    # 100,000 pairs: 392 steps, of which 12 warm up (see test_schedule); half way between 12 and 392 is 202.
    words = told(micro_batch=4)
    assert (words["per_device_train_batch_size"], words["gradient_accumulation_steps"]) == (4, 128)
    rate = rates(words, steps=392)
    assert rate[6] == pytest.approx(0.5e-5)
    assert rate[12] == pytest.approx(1e-5)
    assert rate[202] == pytest.approx(0.55e-5)  # 0.1 + 0.9 * (1 + cos(pi / 2)) / 2
    assert rate[392] == pytest.approx(1e-6)
    assert min(rate[12:]) == rate[392]


def test_a_line_ends_at_nothing_and_a_constant_rate_stays(told):
    # 10 steps warm up for 5, the least: half way from 5 to 10 is 7.5.
    line = rates(told(5120, lr_schedule="linear", epochs=1), steps=10)
    assert line[5:] == pytest.approx([1e-5, 0.8e-5, 0.6e-5, 0.4e-5, 0.2e-5, 0])
    constant = rates(told(5120, lr_schedule="constant", epochs=1), steps=10)
    assert constant == pytest.approx([0, 0.2e-5, 0.4e-5, 0.6e-5, 0.8e-5] + [1e-5] * 6)


@pytest.mark.parametrize("lr_schedule", ["cosine", "linear", "constant"])
def test_no_step_of_a_stage_too_short_to_warm_up_is_lost(told, lr_schedule):
    # 1,024 pairs are two steps; in transformers the first step of any warm-up has a rate of nought.
    rate = rates(told(1024, epochs=1, lr_schedule=lr_schedule), steps=2)
    assert rate[0] == 1e-5
    assert rate[1] >= 0.5e-5


def test_as_many_tokens_are_together_as_a_micro_batch_of_the_longest_pairs_has():
    # Four pairs of two completions of 512 tokens.
    recipe = changed(batch=8, micro_batch=4)
    assert arguments.tokens_together(recipe, arguments.schedule_of(recipe, 64)) == 2 * 4 * 512


@pytest.mark.parametrize(("gpu", "enough"), [(False, 1024), (True, 4096)])
def test_on_a_cpu_no_more_are_put_together_than_are_of_use(monkeypatch, gpu, enough):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert arguments.enough_together(4096) == enough
    assert arguments.enough_together(500) == 500


def test_several_processes_share_a_batch(told, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    words = told(micro_batch=16)
    assert words["per_device_train_batch_size"] * words["gradient_accumulation_steps"] * 8 == 512


def test_the_optimiser_is_the_recipes(told, tmp_path):
    words = told(adam_beta2=0.95, adam_epsilon=1e-5, weight_decay=0.1)
    config = TrainingArguments(**{name: value for name, value in words.items() if name != "max_length"})
    assert (config.optim, config.adam_beta1, config.adam_beta2) == ("adamw_torch_fused", 0.9, 0.95)
    assert (config.adam_epsilon, config.weight_decay) == (1e-5, 0.1)
    assert told(optimizer="rmsprop")["optim"] == "rmsprop"


def test_precision_is_what_the_hardware_computes_in_unless_the_recipe_says(told, monkeypatch):
    for can in (True, False):
        monkeypatch.setattr(arguments, "can_bf16", lambda can=can: can)
        assert told(precision="auto")["bf16"] is can
        assert told(precision="bf16")["bf16"] is True
        assert told(precision="fp32")["bf16"] is False


def gpu_of_generation(major, monkeypatch):
    """Have torch see a GPU of this compute capability, which holds bf16 whether or not it computes in it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=major))
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)


@pytest.mark.parametrize(("major", "can"), [(7, False), (8, True), (9, True)])
def test_a_gpu_that_only_emulates_bf16_does_not_count_as_computing_in_it(monkeypatch, major, can):
    gpu_of_generation(major, monkeypatch)
    assert arguments.can_bf16() is can
    assert arguments.computes_in_bf16(changed(precision="auto")) is can


def test_a_gpu_that_cannot_compute_in_bf16_is_refused_when_it_is_asked_to(monkeypatch):
    gpu_of_generation(7, monkeypatch)
    with pytest.raises(RunDirError, match='Set precision to "fp32"'):
        arguments.computes_in_bf16(changed(precision="bf16"))


@pytest.mark.parametrize(
    ("method", "precision", "dtype"),
    [
        ("full", "bf16", torch.float32),  # what trains is kept in 32 bits
        ("lora", "bf16", torch.bfloat16),  # the base does not move
        ("lora", "fp32", torch.float32),
        ("qlora", "bf16", torch.bfloat16),
    ],
)
def test_the_type_that_weights_have_while_they_train(method, precision, dtype):
    assert arguments.working_dtype(changed(method=method, precision=precision)) == dtype


@pytest.fixture
def trainer(tmp_path, policy):
    """A trainer of the stage on so many pairs, which moves nothing visibly."""

    def build(rows, **changes):
        path = write_lines(tmp_path / "pairs.jsonl", [pair(i) for i in range(rows)])
        changes = {"learning_rate": 1e-12, "precision": "fp32"} | changes
        stage = Stage.start(
            stage_dir(tmp_path / "dpo", "dpo", inputs={"policy": policy, "pairs_train": path}, **changes)
        )
        recipe = Dpo.parse(stage.told, source="the test")
        tokenizer = load_tokenizer(str(policy))
        reference = ReferenceCache(None, by_part=False)
        return dpo.make_trainer(stage, recipe, tokenizer, tokenised(path, tokenizer).tokens, reference)

    return build


@pytest.mark.parametrize(("rows", "steps"), [(16, 2), (11, 2), (9, 2), (20, 3)])
def test_the_loss_of_a_step_is_a_mean_over_its_pairs_however_many_and_in_however_many_parts(
    trainer, monkeypatch, rows, steps
):
    # Of 11 pairs one step has 6 and one 5, each pair of them in a part of its own (one is about 60 tokens, and 64 may
    # be in memory): divided by 8, or by the parts of another step, a loss would be another one. Nothing moves, so that
    # each loss is the first, ln 2.
    monkeypatch.setattr(arguments, "ENOUGH_ON_A_CPU", 0)
    made = trainer(rows, batch=8, max_length=32)
    parts = [len(step.parts) for (step,) in made.planned.steps]
    assert (sum(parts), len(parts)) == (rows, steps)
    made.train()
    losses = [log["loss"] for log in made.state.log_history if "loss" in log]
    assert [float(loss) for loss in losses] == pytest.approx([math.log(2)] * steps, abs=1e-4)
    assert made.state.global_step == steps


def test_steps_and_warm_up_are_as_the_schedule_says(trainer):
    made = trainer(20, batch=8, micro_batch=2, epochs=2.5)
    schedule = arguments.schedule_of(changed(batch=8, micro_batch=2, epochs=2.5), 20, rankings=20)
    made.train()
    assert made.state.global_step == schedule.steps == 8  # 20 rows are 3 steps an epoch; 7.5 of them
    assert made.args.warmup_steps == schedule.warmup_steps == 5


def test_rmsprop_is_torchs_own(trainer):
    made = trainer(8, optimizer="rmsprop")
    made.create_optimizer()
    assert type(made.optimizer) is torch.optim.RMSprop
    assert {group["alpha"] for group in made.optimizer.param_groups} == {0.99}


def test_rows_that_are_read_together_are_of_like_length_whatever_the_memory_holds(tmp_path, policy, monkeypatch):
    monkeypatch.setattr("training.pipeline.memory.device_bytes", lambda: 1e9)
    stage = SimpleNamespace(run_dir=tmp_path, seed=17, inputs={"policy": str(policy)})
    recipe = changed(batch=4)
    lengths = [10, 90, 11, 91, 12, 92, 13, 93]
    order = order_of(recipe, lengths, stage=stage)
    assert training_arguments(recipe, rows=8, stage=stage)["per_device_train_batch_size"] == 4
    assert {max(lengths[i] for i in half) - min(lengths[i] for i in half) for half in (order[:4], order[4:])} == {3}
