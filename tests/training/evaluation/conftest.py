"""A round that was evaluated on six prompts: of one, both policies say the same."""

import pytest

from tests.training.evaluation.evaluated import make_evaluated, make_prompts


@pytest.fixture
def prompts(db):
    return make_prompts(6)


@pytest.fixture
def evaluated(tmp_path, snapshot, prompts):
    new = {prompt: f"The new one says {n}." for n, prompt in enumerate(prompts)}
    old = {prompt: f"The old one says {n}." for n, prompt in enumerate(prompts)}
    new[prompts[5]] = "They agree  on this.\n"
    old[prompts[5]] = "They agree on this."
    return make_evaluated(tmp_path, snapshot, {"new": new, "old": old})
