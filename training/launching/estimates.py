"""What a round will cost, before it starts: seconds for each stage from a few counts. Pure arithmetic.

The coefficients were measured with SmolLM2-135M on CPU cores with AVX-512 bf16 and are rough: expect the right
order, not the right minute. Nothing is known here of what else the machine is doing.
"""

import math
from dataclasses import dataclass

from training.recipe import (
    Demonstrations,
    Dpo,
    Evaluate,
    Harness,
    JudgeModel,
    PairTraining,
    Recipe,
    RejectionSampling,
    RewardModel,
    Sft,
    Training,
)
from training.recipe.reading import Section

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
CHECK_SECONDS = 8.0  # importing a tokenizer, mostly
TOKENISED_A_SECOND = 300_000.0  # by a fast tokenizer, with reading and counting
HARNESS_TASK_TOKENS = 20_000  # that a task of some sixty questions with four choices each has read
PERPLEXITY_TOKENS = 2_500  # of the text that comes with the project
VERDICT_PASSES = 3  # a model judge reads the prompt and both completions, in both orders


@dataclass(frozen=True)
class Pairs:
    """Of completions, by majority."""

    train: int
    held_out: int
    earlier: int = 0  # train pairs of the snapshots of the schedule's earlier rounds


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a round has to work on, and with."""

    pairs: Pairs  # over all judgments
    pairs_by_people: Pairs | None = None  # where they are others
    prompts_train: int
    prompts_eval: int
    prompt_tokens: float  # mean
    completion_tokens: float  # mean, of the completions that were judged
    parameters: float
    cores: int
    has_gpu: bool = False
    rounds_earlier: int = 0  # of the schedule
    demonstrations: int = 0  # conversations
    demonstration_tokens: float = 0.0  # mean

    @property
    def flops(self) -> float:
        """Useful arithmetic per second of the whole machine."""
        return FLOPS_OF_A_GPU if self.has_gpu else FLOPS_OF_A_CORE * self.cores

    def pairs_for(self, section: PairTraining) -> Pairs:
        """Those by whose judgments the stage counts."""
        return (self.pairs_by_people or self.pairs) if section.judges == "people" else self.pairs

    @property
    def row_tokens(self) -> float:
        """Tokens of a prompt with its completion."""
        return self.prompt_tokens + self.completion_tokens


def seconds_of(recipe: Recipe, counts: Counts) -> dict[str, float]:
    """Seconds of each stage of the round, in its order; none for one that has no row to train on.

    Every round begins with the check of its data.
    """
    check = CHECK_SECONDS + _tokens_read(recipe, counts) / TOKENISED_A_SECOND
    return {"check": check} | {stage: _seconds(getattr(recipe, stage), recipe, counts) for stage in recipe.stages}


def rows_of(section: Section, counts: Counts) -> int | None:
    """The rows that a stage would train on if none were dropped; None for a stage that trains nothing."""
    match section:
        case JudgeModel():
            return min(counts.pairs_for(section).held_out, section.max_pairs_per_prompt * counts.prompts_eval)
        case PairTraining():
            return _pairs(section, counts)
        case Demonstrations():
            return counts.demonstrations
        case Sft():
            return counts.prompts_train
        case _:
            return None


def rankings_of(section: Section, counts: Counts) -> int | None:
    """The rankings that a stage would train on, at most; None for one whose rows are no pairs."""
    if not isinstance(section, PairTraining):
        return None
    prompts = counts.prompts_eval if isinstance(section, JudgeModel) else counts.prompts_train
    return max(1, min(prompts, rows_of(section, counts) or 0))


def _seconds(section: Section, recipe: Recipe, counts: Counts) -> float:
    if (rows := rows_of(section, counts)) == 0:
        return 0.0
    rows = rows or 0
    match section:
        case JudgeModel():  # the other way round: it learns from the held-out pairs
            measured = _passes(counts, rows=2 * counts.pairs_for(section).train, work=FORWARD)
            trained = _training(section, counts, tokens=_of_rankings(counts, rows, counts.prompts_eval))
            return TRAINER_START_SECONDS + trained + measured
        case RewardModel():
            measured = _passes(counts, rows=2 * counts.pairs_for(section).held_out, work=FORWARD)
            trained = _training(section, counts, tokens=_of_rankings(counts, rows, counts.prompts_train))
            return TRAINER_START_SECONDS + trained + measured
        case RejectionSampling():
            tried = len(section.temperatures) * min(section.sweep_prompts, counts.prompts_train)
            candidates = (counts.prompts_train + tried) * section.candidates
            sampled = _sampling(counts, tokens=candidates * _written(counts, section.max_tokens))
            return sampled + _passes(counts, rows=candidates, work=FORWARD)
        case Demonstrations():
            trained = _training(section, counts, tokens=rows * counts.demonstration_tokens)
            return TRAINER_START_SECONDS + LANGUAGE_MODEL_HEAD * trained
        case Sft():
            trained = _training(section, counts, tokens=rows * counts.row_tokens)
            return TRAINER_START_SECONDS + LANGUAGE_MODEL_HEAD * trained
        case Dpo():
            tokens = _of_rankings(counts, rows, counts.prompts_train)
            reference = _arithmetic(counts, tokens=tokens, work=FORWARD)
            trained = _training(section, counts, tokens=tokens)
            return TRAINER_START_SECONDS + LANGUAGE_MODEL_HEAD * (trained + reference)
        case Evaluate():
            written = counts.prompts_eval * section.n
            opponents = 2 if counts.rounds_earlier else 1  # the old policy, and the base where that is another
            one_policy = _sampling(counts, tokens=written * _written(counts, section.max_tokens))
            by_reward = _passes(counts, rows=(1 + opponents) * written, work=FORWARD)
            by_model = _judged_by_model(section, counts, comparisons=opponents * written)
            return (1 + opponents) * one_policy + _reward_judges(recipe, counts) * by_reward + by_model
        case Harness():
            tokens = len(section.tasks) * HARNESS_TASK_TOKENS + PERPLEXITY_TOKENS
            return 2 * (TRAINER_START_SECONDS + tokens * FORWARD * counts.parameters / counts.flops)
        case _:
            raise TypeError(f"No estimate for {section!r}.")


def _reward_judges(recipe: Recipe, counts: Counts) -> int:
    """How many reward models are heard: the one that selected, and one that did not, where there is another."""
    selects = recipe.rejection_sampling is not None
    has_not_selected = recipe.reward_model is not None and (not selects or counts.rounds_earlier > 0)
    return selects + (recipe.judge_model is not None or has_not_selected)


def _judged_by_model(section: Evaluate, counts: Counts, *, comparisons: int) -> float:
    if "model" not in section.judges:
        return 0.0
    return ENGINE_START_SECONDS + _passes(counts, rows=VERDICT_PASSES * comparisons, work=FORWARD)


def _tokens_read(recipe: Recipe, counts: Counts) -> float:
    """Tokens that the check counts: both sides of each pair, and the demonstrations where the round has them."""
    pairs = counts.pairs.train + counts.pairs.held_out + counts.pairs.earlier
    shown = counts.demonstrations * counts.demonstration_tokens if recipe.demonstrations else 0.0
    return 2 * pairs * counts.row_tokens + shown


def _pairs(section: PairTraining, counts: Counts) -> int:
    pairs = counts.pairs_for(section)
    there = pairs.train + (pairs.earlier if section.snapshots == "all" else 0)
    return min(there, section.max_pairs_per_prompt * counts.prompts_train)


def _written(counts: Counts, max_tokens: int) -> float:
    return min(max_tokens, counts.completion_tokens)


def _of_rankings(counts: Counts, pairs: int, prompts: int) -> float:
    """Tokens of so many pairs as they are trained on: each prompt once, and each completion once.

    K completions have K(K-1)/2 pairs, so that m pairs of a prompt are of (1 + sqrt(1 + 8 m)) / 2 completions, or more.
    """
    if not pairs:
        return 0.0
    prompts = min(prompts, pairs)
    completions = (1 + math.sqrt(1 + 8 * pairs / prompts)) / 2
    return prompts * (counts.prompt_tokens + completions * counts.completion_tokens)


def _training(section: Training, counts: Counts, *, tokens: float) -> float:
    return section.epochs * _arithmetic(counts, tokens=tokens, work=FORWARD_AND_BACKWARD)


def _passes(counts: Counts, *, rows: int, work: int) -> float:
    return _arithmetic(counts, tokens=rows * counts.row_tokens, work=work)


def _arithmetic(counts: Counts, *, tokens: float, work: int) -> float:
    return tokens * work * counts.parameters / counts.flops


def _sampling(counts: Counts, *, tokens: float) -> float:
    speed = SAMPLED_TOKENS_OF_A_GPU if counts.has_gpu else SAMPLED_TOKENS * counts.cores
    return ENGINE_START_SECONDS + tokens * counts.parameters / speed
