"""A model that is asked for its completions only says what it says when it is asked plainly."""

import pytest
import torch

from tests.training.pipeline.grouped import both
from tests.training.pipeline.grouped.both import ALL, PAD, answering, one_step, pairs_of
from training.pipeline.grouped.heads import answer_rows
from training.pipeline.grouped.rows import rows_of

PAIRS = pairs_of(4) + pairs_of(2, seed=1, prompt=1)


def part():
    ((step,),) = one_step(PAIRS, tokens=ALL)
    return step.parts[0]


def rows(of, layout):
    return rows_of(part(), of=of, layout=layout, pad_token_id=PAD)


def plainly(model):
    """Of each completion: its tokens' log-probabilities over the vocabulary, each in a row of its own."""
    found = []
    for ranking in part().rankings:
        for completion in ranking.completions:
            logits = model(input_ids=torch.tensor([[*ranking.prompt, *completion]])).logits
            found.append((logits[0, -len(completion) - 1 : -1].log_softmax(-1), torch.tensor(completion)))
    return found


@pytest.mark.parametrize("layout", ["shared", "separate"])
@pytest.mark.parametrize("in_chunks", [True, False])
def test_sums_entropies_and_what_was_said_right_are_those_of_the_whole_vocabulary(layout, in_chunks):
    model, _ = answering(both.policy(), layout)
    if not in_chunks:
        model = both.policy()
        answer_rows(model, in_chunks=False)
        model.set_attn_implementation("whetstone_rankings" if layout == "shared" else "sdpa")
    with torch.no_grad():
        found, right = model(rows=rows("log_probs", layout)), plainly(both.policy())
    for i, (of_all, completion) in enumerate(right):
        own = of_all.gather(1, completion[:, None]).squeeze(1)
        assert found.values[i].item() == pytest.approx(own.sum().item(), rel=1e-5)
        assert found.entropy[i].item() == pytest.approx(-(of_all.exp() * of_all).sum(1).mean().item(), rel=1e-4)
        assert found.said_right[i].item() == pytest.approx((of_all.argmax(1) == completion).float().mean().item())


@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_rewards_are_those_of_each_conversation_alone(layout):
    model, _ = answering(both.reward_model(), layout)
    plain = both.reward_model()
    with torch.no_grad():
        found = model(rows=rows("rewards", layout))
        right = [
            plain(input_ids=torch.tensor([[*ranking.prompt, *completion]])).logits.item()
            for ranking in part().rankings
            for completion in ranking.completions
        ]
    assert found.values.tolist() == pytest.approx(right, rel=1e-5)
    assert found.entropy is None


def test_only_the_places_that_are_read_reach_the_head(monkeypatch):
    seen = []
    chunked = "training.pipeline.grouped.heads.chunked"
    from training.pipeline.grouped.projection import chunked as original

    monkeypatch.setattr(chunked, lambda states, *told: seen.append(states.shape) or original(states, *told))
    model, _ = answering(both.policy(), "shared")
    asked = rows("log_probs", "shared")
    model(rows=asked)
    tokens = sum(len(completion) for ranking in part().rankings for completion in ranking.completions)
    assert seen == [(tokens, 16)]
    assert tokens < asked.positions


def test_each_token_goes_through_the_model_once(monkeypatch):
    model, _ = answering(both.policy(), "shared")
    asked = rows("log_probs", "shared")
    seen = []
    model.model.embed_tokens.register_forward_hook(lambda module, told, found: seen.append(found.shape[:2]))
    model(rows=asked)
    # Each prompt once, but for its last token, which stands before each completion, whose own last one is left off.
    shared = sum(len(r.prompt) - 1 + sum(map(len, r.completions)) for r in part().rankings)
    assert seen == [(1, shared)]
