"""How far a policy has moved, against a plain loop over tokens."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_models import save_tiny_policy
from training.pipeline.completions import Completion, Prompt
from training.pipeline.divergence import AT_MOST, divergence

PROMPTS = [Prompt(f"p{i}", [{"role": "user", "content": f"Question {i}?"}]) for i in range(3)]
COMPLETIONS = [
    Completion("p0", 0, "yes yes", 2, "stop"),
    Completion("p1", 0, "no", 1, "length"),
    Completion("p2", 0, "  ", 1, "stop"),  # nothing was said
]


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    return str(save_tiny_policy(tmp_path_factory.mktemp("moved"), seed=3))


@pytest.fixture(autouse=True)
def _in_32_bits(monkeypatch):
    monkeypatch.setattr("training.pipeline.divergence.can_bf16", lambda: False)


def plainly(policy, prompt, answer):
    """log p(answer | prompt), one token after the other."""
    tokenizer, model = AutoTokenizer.from_pretrained(policy), AutoModelForCausalLM.from_pretrained(policy)
    tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    total = 0.0
    for token in tokenizer(answer, add_special_tokens=False)["input_ids"]:
        with torch.no_grad():
            total += model(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)[token].item()
        tokens.append(token)
    return total


def test_it_is_the_mean_log_ratio_a_token(policy, moved):
    found = divergence(PROMPTS, COMPLETIONS, new=moved, old=str(policy), seed=1)
    # Seven bytes and the end of the turn; two bytes, cut off. The blank one is left out.
    texts = [("Question 0?", "yes yes<|im_end|>", 8), ("Question 1?", "no", 2)]
    expected = 0.0
    for asked, answer, tokens in texts:
        prompt = f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
        expected += (plainly(moved, prompt, answer) - plainly(policy, prompt, answer)) / tokens / 2
    assert found.value == pytest.approx(expected, abs=1e-4)
    assert found.completions == 2


def test_a_policy_has_not_moved_from_itself(policy):
    assert divergence(PROMPTS, COMPLETIONS, new=str(policy), old=str(policy), seed=1).value == 0.0


def test_at_most_so_many_completions_are_read_and_the_seed_chooses(policy):
    many = [Completion("p0", i, f"answer {i}", 2, "stop") for i in range(AT_MOST + 5)]
    assert divergence(PROMPTS, many, new=str(policy), old=str(policy), seed=1).completions == AT_MOST


def test_policies_that_read_differently_have_no_divergence(policy, tmp_path, capsys):
    other = save_tiny_policy(tmp_path / "other")
    template = other / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>", "<|im_start|>the "))
    assert divergence(PROMPTS, COMPLETIONS, new=str(policy), old=str(other), seed=1) is None
    assert "do not read the completions alike" in capsys.readouterr().out


def test_a_policy_that_is_not_there_is_told_in_the_log(policy, tmp_path, capsys):
    assert divergence(PROMPTS, COMPLETIONS, new=str(policy), old=str(tmp_path / "gone"), seed=1) is None
    assert "gone" in capsys.readouterr().out


def test_nothing_said_is_nothing_measured(policy):
    assert divergence(PROMPTS, COMPLETIONS[2:], new=str(policy), old=str(policy), seed=1) is None


def test_a_policy_that_gives_no_number_has_no_divergence(policy, tmp_path):
    broken = save_tiny_policy(tmp_path / "broken")
    model = AutoModelForCausalLM.from_pretrained(broken)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    model.save_pretrained(broken)
    assert divergence(PROMPTS, COMPLETIONS, new=str(policy), old=str(broken), seed=1) is None
