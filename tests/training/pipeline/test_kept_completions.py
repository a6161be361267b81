"""Completions that are sampled once and kept by content."""

import shutil

import pytest

from sampling.engine.run_dir import Progress
from tests.tiny_models import save_tiny_policy
from tests.training.pipeline.runs import FakeEngine
from training.pipeline.completions import Prompt
from training.pipeline.kept_completions import sample_once
from training.recipe import Sampling

RECIPE = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 8, "max_model_len": 64}


def prompts(count):
    return [Prompt(f"p{i}", [{"role": "user", "content": f"Question {i}?"}]) for i in range(count)]


class Sampler:
    """Samples into a fresh directory each time, and remembers which prompts the engine was asked."""

    def __init__(self, tmp_path, policy):
        self.tmp_path, self.policy, self.number = tmp_path, str(policy), 0

    def __call__(self, *, asked=2, n=2, seed=1, policy=None, caches="caches", prompts_are=None, **recipe):
        self.number += 1
        self.engine = FakeEngine(lambda model, prompt_id, index: (f"{prompt_id} {index} of {self.number}", "stop"))
        directory = self.tmp_path / f"sampling-{self.number}"
        completions = sample_once(
            directory,
            caches=caches and str(self.tmp_path / caches),
            policy=str(policy or self.policy),
            prompts=prompts_are or prompts(asked),
            recipe=Sampling(**RECIPE | recipe),
            n=n,
            seed=seed,
            progress=Progress(self.tmp_path, unit="completions"),
            phase="test",
            generate=self.engine,
        )
        return [each.text for each in completions]

    @property
    def has_sampled(self):
        return bool(self.engine.models)


@pytest.fixture
def sample(tmp_path, policy):
    return Sampler(tmp_path, policy)


def test_the_same_is_not_sampled_twice(sample):
    first = sample()
    assert sample() == first == ["p0 0 of 1", "p0 1 of 1", "p1 0 of 1", "p1 1 of 1"]
    assert not sample.has_sampled


def test_the_same_weights_in_another_place_are_the_same_policy(sample, policy, tmp_path):
    first = sample()
    assert sample(policy=shutil.copytree(policy, tmp_path / "copy")) == first


def test_only_new_prompts_are_sampled(sample):
    sample(asked=2)
    assert sample(asked=3) == ["p0 0 of 1", "p0 1 of 1", "p1 0 of 1", "p1 1 of 1", "p2 0 of 2", "p2 1 of 2"]


def test_fewer_completions_of_each_are_found_among_more(sample):
    sample(n=2)
    assert sample(n=1) == ["p0 0 of 1", "p1 0 of 1"]
    sample(n=3)
    assert sample.has_sampled


@pytest.mark.parametrize("change", [{"seed": 2}, {"temperature": 0.5}, {"top_p": 0.5}, {"max_tokens": 4}])
def test_other_parameters_are_other_completions(sample, change):
    sample()
    sample(**change)
    assert sample.has_sampled


def test_a_prompt_whose_words_changed_is_sampled_again(sample):
    sample(asked=1)
    assert sample(prompts_are=[Prompt("p0", [{"role": "user", "content": "Another?"}])]) == ["p0 0 of 2", "p0 1 of 2"]


def test_other_weights_or_another_template_are_another_policy(sample, policy, tmp_path):
    sample()
    sample(policy=save_tiny_policy(tmp_path / "other", seed=3))
    assert sample.has_sampled
    retold = shutil.copytree(policy, tmp_path / "retold")
    with (retold / "chat_template.jinja").open("a") as template:
        template.write(" ")
    sample(policy=retold)
    assert sample.has_sampled


@pytest.mark.parametrize("change", [{"caches": None}, {"policy": "organisation/name"}, {"policy": "/not/there"}])
def test_what_cannot_be_known_by_content_is_sampled_each_time(sample, change):
    sample(**change)
    sample(**change)
    assert sample.has_sampled


def test_nothing_to_answer_asks_no_engine(sample):
    assert sample(prompts_are=[], asked=0) == []
    assert not sample.has_sampled
