"""What rows tell at once of a round that cannot be."""

import pytest

from tests.training import rounds
from training import actions
from training.launching import launch_checks
from training.launching.asked import Asked
from training.models import StageKind

SECTION = 'method = "full"\nlearning_rate = 1e-4\nepochs = 1\nbatch = 4\nmax_length = 64\n'
SAMPLED = f"[rejection_sampling]\ncandidates = 4\nmax_tokens = 16\n[sft]\n{SECTION}"
JUDGED = f'[dpo]\n{SECTION}judges = "all"\n[evaluate]\nmax_tokens = 16\njudges = ["reward_model"]\n'


@pytest.fixture
def later_rounds(tmp_path):
    """A recipe's file whose reward model is trained in the first round alone."""

    def write(sections: str) -> str:
        path = tmp_path / "later.toml"
        path.write_text(f'[reward_model]\n{SECTION}judges = "all"\nrounds = "1"\n{sections}')
        return str(path)

    return write


@pytest.fixture
def finished(round):
    """A round of all stages that has ended well."""
    return actions.execute_round(round=round)


@pytest.mark.parametrize(("sections", "stage"), [(SAMPLED, "rejection_sampling"), (JUDGED, "evaluate")])
def test_a_reward_model_of_an_earlier_round_that_no_round_has_trained_is_missed(
    finished, later_rounds, policy, snapshot, sections, stage
):
    asked = Asked(base_policy=policy, snapshot=snapshot, recipe=later_rounds(sections), previous=finished)
    assert "recipe" not in launch_checks.examined(asked).problems

    finished.stages.filter(kind=StageKind.REWARD_MODEL).delete()  # it began with another recipe
    problem = launch_checks.examined(asked).problems["recipe"]
    assert problem.startswith(f'Recipe "later", [{stage}] needs the reward model of an earlier round, and no earlier')


def test_a_round_that_trains_its_own_reward_model_misses_none(policy, snapshot):
    asked = Asked(base_policy=policy, snapshot=snapshot, recipe=rounds.RECIPE)
    assert launch_checks.examined(asked).problems == {}
