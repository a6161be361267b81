"""A round that was evaluated on six prompts: of one, both policies say the same."""

import pytest

from tests.training.evaluation.evaluated import make_evaluated_on, make_prompts


@pytest.fixture
def prompts(db):
    return make_prompts(6)


@pytest.fixture
def evaluated(tmp_path, snapshot, prompts):
    return make_evaluated_on(prompts, tmp_path, snapshot)
