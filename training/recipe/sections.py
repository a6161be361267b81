"""What a recipe can say: one dataclass for each stage, its values with their bounds and what they mean.

Nothing is known here of TRL's names (see `training.pipeline`), of rows or of devices.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from training.recipe.reading import RecipeError, Section, number

Strength = Literal["negligibly_better", "slightly_better", "better", "significantly_better"]
Judge = Literal["simulated", "reward_model", "model"]


@dataclass(frozen=True, kw_only=True)
class Training(Section):
    """What every stage that trains weights is told."""

    # "full" trains every weight, kept in 32 bits; "lora" trains adapters (arXiv 2106.09685) and merges them into the
    # checkpoint; "qlora" does so on a base of four bits (arXiv 2305.14314).
    method: Literal["full", "lora", "qlora"]
    learning_rate: float = number(above=0, most=1)
    epochs: float = number(above=0, most=100)
    batch: int = number(least=1)  # rows (pairs, for preferences) per optimiser step, on all devices together
    micro_batch: int = number(0, least=0)  # rows in memory together, on each device; 0: what its memory holds
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # auto: bf16 where the hardware computes in it
    max_length: int = number(least=16)  # tokens of prompt and completion; longer rows are dropped and counted
    least_rows: int = number(16, least=1)  # fewer and the stage refuses to train
    lr_schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: float = number(0.03, least=0, below=1)
    least_warmup_steps: int = number(5, least=0)
    end_share: float = number(0.1, least=0, most=1)  # the cosine ends at this share of learning_rate
    optimizer: Literal["adamw", "rmsprop"] = "adamw"
    adam_beta1: float = number(0.9, least=0, below=1)
    adam_beta2: float = number(0.999, least=0, below=1)
    adam_epsilon: float = number(1e-8, above=0)
    weight_decay: float = number(0.0, least=0)
    max_grad_norm: float = number(1.0, above=0)
    gradient_checkpointing: bool = False  # saves memory, costs a third more time
    # Under method "full": whether the token embeddings, and the language-model head where it is tied to them, move.
    train_embeddings: bool = True
    lora_rank: int = number(16, least=1)
    lora_alpha: float = number(32.0, above=0)
    lora_dropout: float = number(0.0, least=0, most=0.9)
    # What a crash may cost. A checkpoint is three to six times the weights.
    checkpoint_minutes: float = number(2.0, least=0)  # 0: none by the clock; a 135M model's takes three seconds
    checkpoint_steps: int = number(0, least=0)  # 0: none by steps
    # How often, spread over the stage, the policy is asked the same few prompts, to show what it says now.
    probes: int = number(4, least=0)
    probe_prompts: int = number(4, least=1, most=16)
    probe_tokens: int = number(48, least=1, most=512)

    def check(self, where: str) -> None:
        if self.micro_batch > self.batch:
            raise RecipeError(
                f'{where}: "micro_batch" is {self.micro_batch}, more than "batch" ({self.batch}). '
                "Lower the one or raise the other."
            )
        if self.micro_batch and self.batch % self.micro_batch:
            raise RecipeError(
                f'{where}: "batch" is {self.batch}, which is no multiple of "micro_batch" ({self.micro_batch}), so '
                "that no number of micro batches makes one. Change either."
            )
        if self.method == "qlora" and self.precision == "fp32":
            raise RecipeError(
                f'{where}: "method" is "qlora", which computes in bf16, and "precision" is "fp32". '
                'Leave precision out, or choose "lora".'
            )

    def unread(self) -> dict[str, str]:
        found = {} if self.lr_schedule == "cosine" else {"end_share": "lr_schedule"}
        if self.optimizer != "adamw":
            found |= dict.fromkeys(("adam_beta1", "adam_beta2", "adam_epsilon"), "optimizer")
        of_adapters = ("lora_rank", "lora_alpha", "lora_dropout")
        return found | dict.fromkeys(of_adapters if self.method == "full" else ("train_embeddings",), "method")


@dataclass(frozen=True, kw_only=True)
class Demonstrations(Training):
    """SFT on demonstrations: conversations of any number of turns, with the loss on the assistant's tokens alone."""

    stage: ClassVar[str] = "demonstrations"


@dataclass(frozen=True, kw_only=True)
class PairTraining(Training):
    """What every stage that trains on preference pairs is told."""

    # The strongest pairs of a prompt come first; one prompt then cannot outweigh the others.
    max_pairs_per_prompt: int = number(6, least=1)
    # by_prompt: all pairs of a prompt together count as one (InstructGPT, arXiv 2203.02155, eq. 1)
    pair_weights: Literal["equal", "by_prompt"] = "equal"
    least_strength: Strength = "negligibly_better"
    snapshots: Literal["latest", "all"] = "latest"  # all: those of the earlier rounds of the schedule too
    # Whose judgments: simulated annotators, model judges and imported ones count only when asked for.
    judges: Literal["people", "people_and_imported", "all"] = "people"


@dataclass(frozen=True, kw_only=True)
class RewardModel(PairTraining):
    """Bradley-Terry on the pairs, from the policy with its head replaced by a scalar."""

    stage: ClassVar[str] = "reward_model"
    # -log sigmoid(r_chosen - r_rejected - margin); small: 1, 2/3, 1/3, 0, large: 3, 2, 1, 0 by strength (Llama 2,
    # arXiv 2307.09288, section 3.2.2 and table 27)
    margins: Literal["none", "small", "large"] = "none"
    center_rewards: float = number(0.0, least=0)  # weight of (r_chosen + r_rejected)^2


@dataclass(frozen=True, kw_only=True)
class JudgeModel(RewardModel):
    """A second reward model, on the pairs of the held-out prompts: it judges the new policy and selects nothing."""

    stage: ClassVar[str] = "judge_model"


@dataclass(frozen=True, kw_only=True)
class Sampling(Section):
    """What every stage that lets a policy write is told."""

    temperature: float = number(1.0, least=0, most=2)
    top_p: float = number(1.0, above=0, most=1)
    max_tokens: int = number(least=1)
    max_model_len: int = number(1024, least=16)

    def check(self, where: str) -> None:
        if self.max_tokens >= self.max_model_len:
            raise RecipeError(
                f'{where}: "max_tokens" is {self.max_tokens}, which leaves no room for a prompt in '
                f'"max_model_len" ({self.max_model_len}). Raise the latter.'
            )


@dataclass(frozen=True, kw_only=True)
class RejectionSampling(Sampling):
    """K candidates for each prompt by the newest policy, scored by the best reward model; the best is kept."""

    stage: ClassVar[str] = "rejection_sampling"
    candidates: int = number(least=2)
    # In place of temperature. More than one: each is tried on sweep_prompts prompts, and the one whose best candidates
    # score highest is used.
    temperatures: tuple[float, ...] = number((), least=0, most=2)
    sweep_prompts: int = number(64, least=1)
    pool: Literal["this_round", "all_rounds"] = "this_round"  # whose candidates the best is chosen from
    micro_batch: int = number(32, least=1)  # candidates that the reward model reads together
    # Candidates that max_tokens cut off are never kept: they teach a policy to stop in mid-sentence.
    finished_only: bool = True

    def check(self, where: str) -> None:
        super().check(where)
        if self.temperature == 0 or 0 in self.temperatures:
            raise RecipeError(f"{where}: at a temperature of 0 all candidates of a prompt are alike. Raise it.")

    def unread(self) -> dict[str, str]:
        found = {"temperature": "temperatures"} if self.temperatures else {}
        return found if len(set(self.temperatures)) > 1 else found | {"sweep_prompts": "temperatures"}


@dataclass(frozen=True, kw_only=True)
class Sft(Training):
    """Fine-tuning on what rejection sampling kept; the loss is on the kept completion alone."""

    stage: ClassVar[str] = "sft"
    # previous: the policy that the round started from; base: the one that the schedule's first round started from,
    # as Llama 2 did
    start_from: Literal["previous", "base"] = "previous"


@dataclass(frozen=True, kw_only=True)
class Dpo(PairTraining):
    """Direct preference optimisation; the reference is the policy at the start of the stage."""

    stage: ClassVar[str] = "dpo"
    beta: float = number(0.1, above=0)
    # sigmoid: arXiv 2305.18290, eq. 7; ipo: arXiv 2310.12036, eq. 17; sigmoid_norm: log-ratios by length (Tulu 3,
    # arXiv 2411.15124, eq. 6); robust: arXiv 2403.00409, eq. 12, with label_smoothing the share of flipped pairs
    loss: Literal["sigmoid", "ipo", "sigmoid_norm", "robust"] = "sigmoid"
    label_smoothing: float = number(0.0, least=0, most=0.49)
    nll_weight: float = number(0.0, least=0)  # of Llama 3's NLL term on the chosen completion (arXiv 2407.21783, 4.1.4)
    mask_end_tokens: bool = False  # Llama 3: header and end tokens of both completions count in no term
    ties: bool = False  # a tie is both orders of the pair

    def check(self, where: str) -> None:
        super().check(where)
        if (self.loss == "robust") != (self.label_smoothing > 0):
            raise RecipeError(
                f'{where}: "loss" is "{self.loss}" and "label_smoothing" is {self.label_smoothing:g}; "robust" needs '
                "one above 0, and the others use none. Change either."
            )

    def unread(self) -> dict[str, str]:
        return super().unread() | ({} if self.loss == "robust" else {"label_smoothing": "loss"})


@dataclass(frozen=True, kw_only=True)
class Evaluate(Sampling):
    """The new policy against the old one and the base, on the eval prompts."""

    stage: ClassVar[str] = "evaluate"
    n: int = number(1, least=1)  # completions of each prompt by each policy, compared index by index
    judges: tuple[Judge, ...]  # the first is the one that the gate believes
    judge_policy: str = ""  # the name of the policy that judges, for the judge "model"
    resamples: int = number(10_000, least=100)  # of the bootstrap

    def check(self, where: str) -> None:
        super().check(where)
        if not self.judges or len(set(self.judges)) != len(self.judges):
            raise RecipeError(f'{where}: "judges" must name at least one, and each once, such as ["simulated"].')
        if ("model" in self.judges) != bool(self.judge_policy):
            raise RecipeError(
                f'{where}: "judges" {"has" if "model" in self.judges else "has no"} "model" and "judge_policy" is '
                f"{self.judge_policy!r}. The one needs the other: name a registered policy, or leave out both."
            )


@dataclass(frozen=True, kw_only=True)
class Harness(Section):
    """What was forgotten: LM Evaluation Harness tasks, and perplexity on a held-out text, new policy against old."""

    stage: ClassVar[str] = "harness"
    tasks: tuple[str, ...] = ()
    task_folder: str = ""  # of task files of your own; those that come with the project are always known
    limit: int = number(0, least=0)  # examples of each task; 0: all
    text: str = ""  # a plain text file for perplexity; empty: the one that comes with the project
    window: int = number(512, least=16)  # tokens read together
    micro_batch: int = number(8, least=1)


@dataclass(frozen=True, kw_only=True)
class Gate(Section):
    """What must hold before the new policy is published; a condition that is left out is not asked."""

    stage: ClassVar[str] = "gate"
    min_win_rate_low: float | None = number(None, least=0, most=1)
    min_win_rate: float | None = number(None, least=0, most=1)
    min_length_controlled_win_rate: float | None = number(None, least=0, most=1)
    min_length_ratio: float | None = number(None, least=0)
    max_length_ratio: float | None = number(None, above=0)
    max_perplexity_ratio: float | None = number(None, above=0)  # new to old, on the held-out text
    max_task_drop: float | None = number(None, least=0)  # of any harness task, in standard errors of the difference

    def check(self, where: str) -> None:
        if all(getattr(self, name) is None for name in self.conditions()):
            raise RecipeError(f'{where}: no condition. Give at least one, such as "min_win_rate_low = 0.5".')

    @classmethod
    def conditions(cls) -> list[str]:
        return [each.name for each in dataclasses.fields(cls) if each.name != "rounds"]
