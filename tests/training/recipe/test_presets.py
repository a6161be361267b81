"""Every recipe that comes with the project: read, dry-run without a model, and held against what was published."""

import math
from types import SimpleNamespace

import pytest
from trl import DPOConfig, RewardConfig, SFTConfig

from sampling.engine.requests import Settings
from sampling.engine.run_dir import write_stage
from training.pipeline.arguments import adapter, schedule_of, training_arguments
from training.pipeline.dpo import loss_arguments
from training.recipe import RECIPES, Dpo, PairTraining, Sampling, Training, load, parse

NAMES = sorted(path.stem for path in RECIPES.glob("*.toml"))
PUBLISHED = ["llama2", "llama3", "olm", "olm-conservative", "zephyr-dpo"]
ROUNDS = range(1, 7)
ROWS = 1_000
DEMONSTRATIONS = """
[demonstrations]
method = "full"
learning_rate = 1e-3
epochs = 1
batch = 4
max_length = 512
least_rows = 2
"""


def test_the_presets_are_these():
    assert sorted([*PUBLISHED, "demo", "smoke"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", ROUNDS)
def test_every_preset_dry_runs_in_every_round(name, number, tmp_path):
    """Each section in the words of TRL, of PEFT or of the engine, which refuse what they do not know."""
    of_round = load(name).of_round(number)
    assert of_round.stages
    for kind, section in of_round.sections.items():
        if isinstance(section, Training):
            dry_run(kind, section, tmp_path)
        elif isinstance(section, Sampling):
            asked = {each: getattr(section, each) for each in ("temperature", "top_p", "max_tokens", "max_model_len")}
            write_stage(tmp_path, {"model": "policy", "prompts": "prompts.jsonl", "n": 1, **asked})
            Settings.read(tmp_path)


def dry_run(kind: str, section: Training, directory) -> None:
    stage = SimpleNamespace(run_dir=directory, seed=17, inputs={})
    told = training_arguments(section, rows=ROWS, stage=stage)
    schedule = schedule_of(section, ROWS)
    if isinstance(section, Dpo):
        config = DPOConfig(**told, **loss_arguments(section), precompute_ref_log_probs=True)
    elif isinstance(section, PairTraining):
        config = RewardConfig(**told)
    else:
        config = SFTConfig(**told, **{"completion_only_loss" if kind == "sft" else "assistant_only_loss": True})
    assert config.per_device_train_batch_size * config.gradient_accumulation_steps == section.batch
    assert config.warmup_steps == schedule.warmup_steps
    assert config.learning_rate == section.learning_rate
    adapter(section, task="SEQ_CLS" if kind in ("reward_model", "judge_model") else "CAUSAL_LM")


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_says_what_it_is_for(name):
    assert load(name).description


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_value_of_a_published_preset_has_its_source_beside_it_or_above(name):
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    assert "Our choice" in text or "different" in text
    for section in text.split("\n[")[1:]:
        assert "#" in section, section
    micro_batches = [section.micro_batch for section in load(name).sections.values() if isinstance(section, Training)]
    assert set(micro_batches) == {0}  # what a device's memory holds


@pytest.mark.parametrize("name", ["olm", "olm-conservative"])
def test_the_olm_schedule_is_as_published(name):
    recipe = load(name)
    every_round = ["reward_model", "judge_model", "rejection_sampling", "sft", "evaluate", "harness"]
    with_dpo = ["reward_model", "judge_model", "rejection_sampling", "sft", "dpo", "evaluate", "harness"]
    assert recipe.of_round(1).stages == ["demonstrations", *every_round]  # SFT first
    for number in (2, 3, 4):  # the first four rounds: rejection sampling only
        assert recipe.of_round(number).stages == every_round
    for number in (5, 6, 20):  # from the fifth: then DPO on top of that checkpoint
        assert recipe.of_round(number).stages == with_dpo


def test_olms_values_are_as_published():
    recipe = load("olm")
    shown, kept, preferred = recipe.demonstrations, recipe.sft, recipe.dpo
    assert (shown.learning_rate, shown.weight_decay, shown.batch, shown.max_length, shown.epochs) == (
        2e-5, 0.1, 64, 4096, 2,
    )  # fmt: skip
    assert (kept.epochs, preferred.epochs) == (1, 2)
    for section in (recipe.reward_model, kept, preferred):
        assert (section.learning_rate, section.lr_schedule, section.end_share) == (1e-5, "cosine", 0.1)
        assert (section.warmup_share, section.least_warmup_steps, section.batch) == (0.03, 5, 512)
    assert "twenty times" in recipe.warning  # 1e-5 / 5e-7
    # 30,000 pairs: 59 steps an epoch (58.6), 118 in two, of which 3 % are 3.5, so at least 5 warm up.
    schedule = schedule_of(preferred, 30_000)
    assert (schedule.steps, schedule.warmup_steps) == (118, 5)
    assert schedule.micro_batch * schedule.accumulation == 512
    # 200,000: 391 steps an epoch, 782 in two; 3 % are 23.46, so 24.
    assert schedule_of(preferred, 200_000).warmup_steps == math.ceil(0.03 * 782) == 24


def test_the_conservative_preset_is_olm_with_usual_rates():
    faithful, gentle = load("olm"), load("olm-conservative")
    assert (gentle.dpo.learning_rate, gentle.sft.learning_rate) == (5e-7, 5e-6)
    assert gentle.warning == ""
    for kind in ("demonstrations", "reward_model", "judge_model", "rejection_sampling", "evaluate", "harness", "gate"):
        assert getattr(gentle, kind) == getattr(faithful, kind)


def test_llama_2s_values_are_as_published():
    recipe = load("llama2")
    reward = recipe.reward_model
    assert (reward.margins, reward.epochs, reward.batch, reward.learning_rate) == ("small", 1, 512, 1e-5)
    assert (reward.adam_beta1, reward.adam_beta2, reward.adam_epsilon) == (0.9, 0.95, 1e-5)
    assert recipe.rejection_sampling.pool == "all_rounds"
    assert all(1.2 <= temperature <= 1.3 for temperature in recipe.rejection_sampling.temperatures)
    assert recipe.sft.start_from == "base"
    assert recipe.dpo is None


def test_llama_3s_values_are_as_published():
    recipe = load("llama3")
    dpo = recipe.dpo
    assert (dpo.learning_rate, dpo.beta, dpo.nll_weight, dpo.mask_end_tokens) == (1e-5, 0.1, 0.2, True)
    assert (dpo.snapshots, dpo.least_strength) == ("latest", "better")
    assert recipe.reward_model.margins == "none"
    assert 10 <= recipe.rejection_sampling.candidates <= 30


def test_zephyrs_values_are_as_published():
    dpo = load("zephyr-dpo").dpo
    assert (dpo.beta, dpo.learning_rate, dpo.warmup_share, dpo.epochs) == (0.01, 5e-7, 0.1, 1)
    assert dpo.lr_schedule == "cosine"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_presets_gate_asks_the_three_things_of_an_independent_judge(name):
    recipe = load(name)
    gate = recipe.gate
    assert (gate.min_win_rate_low, gate.max_task_drop, gate.max_length_ratio) == (0.5, 1.0, 1.3)
    assert recipe.evaluate.judges == ("reward_model",)
    assert recipe.judge_model  # which selected nothing


def test_smoke_has_every_stage_and_that_which_needs_a_set_by_a_change():
    assert load("smoke").stages == [
        "reward_model", "judge_model", "rejection_sampling", "sft", "dpo", "evaluate", "harness",
    ]  # fmt: skip
    smoke = (RECIPES / "smoke.toml").read_text(encoding="utf-8")
    assert parse(smoke + DEMONSTRATIONS, "smoke").stages[0] == "demonstrations"


def test_the_demo_runs_the_standard_round_in_its_order():
    assert load("demo").stages == ["reward_model", "rejection_sampling", "sft", "dpo", "evaluate", "harness"]
