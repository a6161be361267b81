"""Train the judge: a second reward model, which selects nothing and so can say whether what was selected is better.

    python -m training.pipeline.judge_model --run-dir DIR

The same program as `reward_model`, told the other way round: it learns from the pairs of the held-out prompts, and is
measured on those that the policy and the reward model learn from. A policy that has learned the reward model's taste
and not the people's pleases the one and not the other.
"""

from pathlib import Path

from sampling.engine.run_dir import main
from training.pipeline import reward_model
from training.recipe import JudgeModel


def run(run_dir: Path) -> reward_model.Result | None:
    """Train, save and measure."""
    return reward_model.run(run_dir, section=JudgeModel)


if __name__ == "__main__":
    main(run)
