"""What a round will cost, before it starts: seconds for each stage from a few counts. Pure arithmetic.

The coefficients were measured with SmolLM2-135M on CPU cores with AVX-512 bf16 and are rough: expect the right
order, not the right minute. Nothing is known here of what else the machine is doing.
"""

from dataclasses import dataclass

from training.recipe import (
    Demonstrations,
    Dpo,
    Evaluate,
    Harness,
    PairTraining,
    Recipe,
    RejectionSampling,
    RewardModel,
    Sft,
    Training,
)

# Useful arithmetic per second. Two cores read 1,900 tokens/s through the layers: 1900 * 2 * 135e6 / 2 for each.
FLOPS_OF_A_CORE = 2.6e11
FLOPS_OF_A_GPU = 1e14  # a guess
FORWARD = 2  # floating-point operations for each parameter and token (Kaplan et al. 2020, section 2.1)
FORWARD_AND_BACKWARD = 6
LANGUAGE_MODEL_HEAD = 1.37  # SFT and DPO project onto the vocabulary too, partly in 32 bits: 476 tokens/s in DPO
SAMPLED_TOKENS = 7.6e10  # parameters times tokens per second and core: 560 tokens/s of 135e6 parameters
SAMPLED_TOKENS_OF_A_GPU = 4e12  # a guess
TRAINER_START_SECONDS = 20.0  # importing, loading, saving
ENGINE_START_SECONDS = 12.0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a round has to work on, and with."""

    pairs_train: int
    pairs_eval: int
    prompts_train: int
    prompts_eval: int
    prompt_tokens: float  # mean
    completion_tokens: float  # mean, of the completions that were judged
    parameters: float
    cores: int
    has_gpu: bool = False

    @property
    def flops(self) -> float:
        """Useful arithmetic per second of the whole machine."""
        return FLOPS_OF_A_GPU if self.has_gpu else FLOPS_OF_A_CORE * self.cores

    @property
    def row_tokens(self) -> float:
        """Tokens of a prompt with its completion."""
        return self.prompt_tokens + self.completion_tokens


def seconds_of(recipe: Recipe, counts: Counts) -> dict[str, float]:
    """Seconds of each stage that the recipe has, in the round's order."""
    return {stage: _seconds(getattr(recipe, stage), recipe, counts) for stage in recipe.stages}


def _seconds(section: object, recipe: Recipe, counts: Counts) -> float:
    match section:
        case RewardModel():  # a judge model is one
            held_out = _passes(counts, rows=2 * counts.pairs_eval, work=FORWARD)
            return TRAINER_START_SECONDS + _training(section, counts, rows=2 * _pairs(section, counts)) + held_out
        case RejectionSampling():
            rows = counts.prompts_train * section.candidates
            sampled = _sampling(counts, tokens=rows * _written(counts, section.max_tokens))
            return sampled + _passes(counts, rows=rows, work=FORWARD)
        case Sft() | Demonstrations():
            trained = _training(section, counts, rows=counts.prompts_train)
            return TRAINER_START_SECONDS + LANGUAGE_MODEL_HEAD * trained
        case Dpo():
            rows = 2 * _pairs(section, counts)
            reference = _passes(counts, rows=rows, work=FORWARD)
            return TRAINER_START_SECONDS + LANGUAGE_MODEL_HEAD * (_training(section, counts, rows=rows) + reference)
        case Evaluate():
            rows = counts.prompts_eval * section.n
            one_policy = _sampling(counts, tokens=rows * _written(counts, section.max_tokens))
            scored = _passes(counts, rows=2 * rows, work=FORWARD) if recipe.reward_model else 0.0
            return 2 * one_policy + scored
        case Harness():
            return 2 * TRAINER_START_SECONDS
        case _:
            raise TypeError(f"No estimate for {section!r}.")


def _pairs(section: PairTraining, counts: Counts) -> int:
    return min(counts.pairs_train, section.max_pairs_per_prompt * counts.prompts_train)


def _written(counts: Counts, max_tokens: int) -> float:
    return min(max_tokens, counts.completion_tokens)


def _training(section: Training, counts: Counts, *, rows: int) -> float:
    return section.epochs * _passes(counts, rows=rows, work=FORWARD_AND_BACKWARD)


def _passes(counts: Counts, *, rows: int, work: int) -> float:
    return rows * counts.row_tokens * work * counts.parameters / counts.flops


def _sampling(counts: Counts, *, tokens: float) -> float:
    speed = SAMPLED_TOKENS_OF_A_GPU if counts.has_gpu else SAMPLED_TOKENS * counts.cores
    return ENGINE_START_SECONDS + tokens * counts.parameters / speed
