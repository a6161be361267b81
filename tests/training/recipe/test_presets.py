"""Every recipe that comes with the project: read, dry-run without a model, and held against what was published."""

import dataclasses
import math
import re
import tomllib
from types import SimpleNamespace

import pytest
from trl import DPOConfig, RewardConfig, SFTConfig

from sampling.engine.requests import Settings
from sampling.engine.run_dir import write_stage
from training.pipeline import harness
from training.pipeline.arguments import adapter, schedule_of, training_arguments
from training.recipe import RECIPES, Dpo, Harness, PairTraining, Sampling, Training, load, parse

NAMES = sorted(path.stem for path in RECIPES.glob("*.toml"))
PUBLISHED = ["llama2", "llama3", "olm", "olm-conservative", "zephyr-dpo"]
SOURCE = re.compile(r"\b(OLM|Llama [23]|Zephyr|Transformers|[Oo]ur choice|from memory)\b")
# What depends on the machine, or refuses and shows, and changes nothing that is learned.
OF_THE_MACHINE = {
    "rounds", "micro_batch", "precision", "least_rows", "gradient_checkpointing", "checkpoint_minutes",
    "checkpoint_steps", "probes", "probe_prompts", "probe_tokens", "judge_policy", "resamples",
}  # fmt: skip
# Llama 2's reward model: AdamW, 1e-5, a cosine to 10 %, 3 % of the steps but at least 5 warm up, 512 pairs.
LLAMA_2 = {
    "learning_rate": 1e-5, "lr_schedule": "cosine", "end_share": 0.1, "warmup_share": 0.03, "least_warmup_steps": 5,
    "batch": 512, "optimizer": "adamw", "adam_beta1": 0.9, "adam_beta2": 0.95, "adam_epsilon": 1e-5,
}  # fmt: skip
SFT_OF_OLM = {
    "learning_rate": 2e-5, "lr_schedule": "cosine", "weight_decay": 0.1, "batch": 64, "max_length": 4096, "epochs": 2,
}  # fmt: skip
GENTLE = {"learning_rate": 5e-7, "warmup_share": 0.1, "epochs": 1}
# Everything that is published of a preset: two presets that follow one publication share its values.
AS_PUBLISHED = {
    "olm": {
        "demonstrations": SFT_OF_OLM | {"rounds": "1"},
        "reward_model": LLAMA_2 | {"epochs": 1, "margins": "small"},
        "rejection_sampling": {"max_model_len": 4096},
        "sft": LLAMA_2 | {"epochs": 1, "rounds": ""},
        "dpo": LLAMA_2 | {"epochs": 2, "rounds": "5-", "loss": "sigmoid"},
    },
    "olm-conservative": {
        "demonstrations": SFT_OF_OLM | {"rounds": "1"},
        "reward_model": LLAMA_2 | {"epochs": 1, "margins": "small"},
        "rejection_sampling": {"max_model_len": 4096},
        "sft": LLAMA_2 | {"epochs": 1, "learning_rate": 5e-6},
        "dpo": LLAMA_2 | GENTLE | {"rounds": "5-", "batch": 128},
    },
    "llama2": {
        "reward_model": LLAMA_2 | {"epochs": 1, "margins": "small", "least_strength": "negligibly_better"},
        "rejection_sampling": {"temperatures": (1.2, 1.25, 1.3), "pool": "all_rounds"},
        "sft": SFT_OF_OLM | {"start_from": "base"},
    },
    "llama3": {
        "reward_model": {"margins": "none"},
        "rejection_sampling": {"candidates": 16},  # of 10 to 30
        "dpo": {
            "learning_rate": 1e-5, "beta": 0.1, "loss": "sigmoid", "nll_weight": 0.2, "mask_end_tokens": True,
            "snapshots": "latest", "least_strength": "better",
        },
    },
    "zephyr-dpo": {
        "dpo": GENTLE | {"beta": 0.01, "lr_schedule": "cosine", "loss": "sigmoid", "batch": 8 * 2 * 8,
                         "max_length": 1024, "optimizer": "adamw"},
    },
}  # fmt: skip
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
        elif isinstance(section, Harness):
            harness.check(section)


def dry_run(kind: str, section: Training, directory) -> None:
    stage = SimpleNamespace(run_dir=directory, seed=17, inputs={})
    told = training_arguments(section, rows=ROWS, stage=stage)
    schedule = schedule_of(section, ROWS)
    if isinstance(section, Dpo):
        config = DPOConfig(**told, beta=section.beta, precompute_ref_log_probs=True)
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
def test_every_value_of_a_published_preset_that_decides_learning_stands_in_it(name):
    """Also one that is a default today: a default may change, and a published recipe must not change with it."""
    written = tomllib.loads((RECIPES / f"{name}.toml").read_text(encoding="utf-8"))
    for kind, section in load(name).sections.items():
        if isinstance(section, Training | Sampling):
            fields = {each.name for each in dataclasses.fields(section)}
            missing = fields - OF_THE_MACHINE - section.unread().keys() - written[kind].keys()
            missing -= {"temperatures"}  # given in place of a temperature, which is missed where neither is
            assert not missing, f"[{kind}]"


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_value_of_a_published_preset_has_its_source_beside_it_or_directly_above(name):
    section, above = "", ""
    for line in (RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines():
        key = line.partition(" = ")[0]
        section = line if line.startswith("[") else section
        if section and " = " in line and not line.startswith("#") and key not in OF_THE_MACHINE:
            beside = line.partition("#")[2] or (above if above.startswith("#") else "")
            assert SOURCE.search(beside), f"{section} {line}"
        above = line
    micro_batches = [each.micro_batch for each in load(name).sections.values() if isinstance(each, Training)]
    assert set(micro_batches) == {0}  # what a device's memory holds


@pytest.mark.parametrize(("name", "kind", "published"), [
    (name, kind, published) for name, of_preset in AS_PUBLISHED.items() for kind, published in of_preset.items()
])  # fmt: skip
def test_what_is_published_is_in_the_preset(name, kind, published):
    section = getattr(load(name), kind)
    assert {key: getattr(section, key) for key in published} == published


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


def test_olms_arithmetic_is_as_published():
    recipe = load("olm")
    assert "twenty times" in recipe.warning  # 1e-5 / 5e-7
    # 30,000 pairs: 59 steps an epoch (58.6), 118 in two, of which 3 % are 3.5, so at least 5 warm up.
    schedule = schedule_of(recipe.dpo, 30_000)
    assert (schedule.steps, schedule.warmup_steps) == (118, 5)
    assert schedule.micro_batch * schedule.accumulation == 512
    # 200,000: 391 steps an epoch, 782 in two; 3 % are 23.46, so 24.
    assert schedule_of(recipe.dpo, 200_000).warmup_steps == math.ceil(0.03 * 782) == 24


def test_the_conservative_preset_is_olm_with_usual_rates():
    faithful, gentle = load("olm"), load("olm-conservative")
    assert (gentle.dpo.learning_rate, gentle.sft.learning_rate) == (5e-7, 5e-6)
    assert gentle.warning == ""
    for kind in ("demonstrations", "reward_model", "judge_model", "rejection_sampling", "evaluate", "harness", "gate"):
        assert getattr(gentle, kind) == getattr(faithful, kind)


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
    assert load("demo").stages == [
        "reward_model", "judge_model", "rejection_sampling", "sft", "dpo", "evaluate", "harness",
    ]  # fmt: skip
