"""The same rankings by TRL's own trainers, pair by pair, and by ours: losses, gradients and weights.

What TRL computes is taken for right. Two tensors are compared by the Frobenius norm of their difference over that of
TRL's (`apart`), tensor by tensor.
"""

import copy
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedModel
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

from tests.tiny_models import tiny_config, tiny_tokenizer
from training.pipeline.grouped import attention
from training.pipeline.grouped.heads import answer_rows
from training.pipeline.grouped.losses import DpoTerms
from training.pipeline.grouped.plan import Step, plan
from training.pipeline.grouped.rankings import Ids, TokenPair, group
from training.pipeline.grouped.sharing import Way
from training.pipeline.grouped.trainer import GroupedDpoTrainer, GroupedRewardTrainer, Planned

TOKENIZER = tiny_tokenizer()
PAD = TOKENIZER.pad_token_id
RELATIVE = 1e-5  # what fp32 rounds, in sums of some hundred terms that are added in another order
ALL = 10_000  # tokens: everything in one part
Gradients = dict[str, torch.Tensor]


def seeded(make: Callable[[], PreTrainedModel], seed: int = 3) -> PreTrainedModel:
    """A random model, the same at every call; its weights are large enough for attention to choose, and rewards too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.3 if "score" in name else 0.15)
    return model.eval()


def policy(**changes) -> PreTrainedModel:
    return seeded(lambda: LlamaForCausalLM(tiny_config(TOKENIZER, **changes)))


def reward_model() -> PreTrainedModel:
    return seeded(lambda: LlamaForSequenceClassification(tiny_config(TOKENIZER, num_labels=1)))


def ids(dice: random.Random, count: int) -> Ids:
    """Letters: no end token and no padding."""
    return tuple(dice.randrange(100) for _ in range(count))


def pairs_of(
    k: int, *, seed: int = 0, ties: bool = False, margins: Sequence[float] = (0.0,), prompt: int = 7
) -> list[TokenPair]:
    """All pairs of K completions of unequal lengths, best first; with ``ties`` the first two are alike: both orders."""
    dice = random.Random(seed)
    start = ids(dice, prompt)
    completions = [ids(dice, 2 + 3 * i % 11) for i in range(k)]
    dice.shuffle(completions)
    pairs = [
        TokenPair(start, completions[i], completions[j], margin=margins[(i + j) % len(margins)])
        for i in range(k)
        for j in range(i + 1, k)
    ]
    return [TokenPair(start, completions[1], completions[0]), *pairs] if ties else pairs


def reference_of(prompt: Ids, completion: Ids) -> float:
    """A reference that is another model than the policy: a few nats beside what any random model says."""
    return -5.0 * len(completion) + random.Random(repr((prompt, completion))).gauss(0, 2)


class _TakesTokens:
    """TRL's trainer on rows of token ids that come with the reference's sums."""

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset

    def _precompute_ref_logps(self, dataset, *args, **kwargs):
        return dataset


class TrlDpo(_TakesTokens, DPOTrainer):
    pass


class TrlReward(_TakesTokens, RewardTrainer):
    pass


class OurDpo(GroupedDpoTrainer):
    def reference_of(self, part):
        return torch.tensor([reference_of(r.prompt, each) for r in part.rankings for each in r.completions])

    def _precompute_ref_logps(self, dataset, *args, **kwargs):
        return dataset


def row_of(pair: TokenPair, of: str) -> dict:
    """A pair as TRL's collators read it."""
    prompt, chosen, rejected = map(list, (pair.prompt, pair.chosen, pair.rejected))
    if of == "rewards":
        return {"chosen_ids": prompt + chosen, "rejected_ids": prompt + rejected, "margin": pair.margin}
    return {
        "prompt_ids": prompt,
        "chosen_ids": chosen,
        "rejected_ids": rejected,
        "ref_chosen_logps": reference_of(pair.prompt, pair.chosen),
        "ref_rejected_logps": reference_of(pair.prompt, pair.rejected),
    }


def config_of(path: Path, of: str, *, terms: DpoTerms, center: float = 0.0, **changes):
    """TRL's arguments for both sides; ``center`` is a reward model's."""
    shared = {
        "output_dir": str(path / "trainer"),
        "train_sampling_strategy": "sequential",
        "max_length": 512,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "disable_dropout": False,
        "logging_steps": 1,
    } | changes
    if of == "rewards":
        return RewardConfig(**shared, center_rewards_coefficient=center or None)
    with_nll = {"loss_type": [terms.loss, "sft"], "loss_weights": [1.0, terms.nll_weight]}
    return DPOConfig(
        **shared,
        **(with_nll if terms.nll_weight else {"loss_type": [terms.loss]}),
        beta=terms.beta,
        label_smoothing=terms.label_smoothing,
        precompute_ref_log_probs=True,
    )


SIGMOID = DpoTerms("sigmoid", 0.3)


def of_model(model: PreTrainedModel) -> str:
    return "rewards" if hasattr(model, "score") else "log_probs"


def adapter(of: str) -> LoraConfig:
    return LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules="all-linear",
        task_type="SEQ_CLS" if of == "rewards" else "CAUSAL_LM",
        modules_to_save=["score"] if of == "rewards" else None,
    )


def trls(path, model, pairs, *, terms=SIGMOID, center=0.0, lora=False, batch=None, **changes):
    """TRL's own trainer on the expanded pairs, ``batch`` of them a step; all if None."""
    of = of_model(model)
    make = TrlReward if of == "rewards" else TrlDpo
    return make(
        model=copy.deepcopy(model),
        args=config_of(
            path, of, terms=terms, center=center, per_device_train_batch_size=batch or len(pairs), **changes
        ),
        processing_class=TOKENIZER,
        train_dataset=Dataset.from_list([row_of(pair, of) for pair in pairs]),
        peft_config=adapter(of) if lora else None,
    )


def ours(path, model, steps, *, way=None, layout="shared", terms=SIGMOID, center=0.0, lora=False, **changes):
    """The grouped trainer on these steps; ``way`` is what was found for ``model``, which answers rows already."""
    of = of_model(model)
    if way is None:
        model, way = answering(model, layout)
    planned = Planned(steps, way, PAD, tokens_together=ALL, settings={})
    config = config_of(path, of, terms=terms, center=center, per_device_train_batch_size=1, **changes)
    told = {} if of == "rewards" else {"terms": terms}
    return (GroupedRewardTrainer if of == "rewards" else OurDpo)(
        model=model,
        args=config,
        processing_class=TOKENIZER,
        planned=planned,
        peft_config=adapter(of) if lora else None,
        **told,
    )


def answering(model: PreTrainedModel, layout: str) -> tuple[PreTrainedModel, Way]:
    """A copy that answers rows of this layout."""
    model = copy.deepcopy(model)
    answer_rows(model)
    if layout == "shared":
        model.set_attn_implementation(attention.NAME)
    return model, Way(of_model(model), layout, flex=False, in_chunks=True)


def one_step(pairs: Sequence[TokenPair], *, tokens: int = ALL, layout: str = "shared") -> list[list[Step]]:
    """All pairs in one step."""
    return plan(group(pairs), batch=len(pairs), tokens=tokens, layout=layout)


def gradients(trainer, inputs, *, checkpointing: bool = False) -> tuple[float, Gradients]:
    """The loss of one step, and the gradient of everything that trains."""
    model = trainer.model
    if checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    start_adapters(model)
    model.zero_grad()
    trainer.current_gradient_accumulation_steps = 1  # `train` would say so
    loss = trainer.training_step(model, inputs).item()
    found = {name: each.grad for name, each in model.named_parameters() if each.requires_grad}
    return loss, {name: grad.clone() for name, grad in found.items() if grad is not None}


def of_trls(trainer, pairs: Sequence[TokenPair], **how) -> tuple[float, Gradients]:
    of = "rewards" if isinstance(trainer, TrlReward) else "log_probs"
    return gradients(trainer, trainer.data_collator([row_of(pair, of) for pair in pairs]), **how)


def of_ours(trainer, step: int = 0, **how) -> tuple[float, Gradients]:
    return gradients(trainer, {"step": trainer.planned.item(step)}, **how)


def start_adapters(model) -> None:
    """Adapters whose second matrix is not nought: else half of their gradients would be."""
    dice = torch.Generator().manual_seed(5)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = torch.randn(weight.shape, generator=dice) * 0.1


def apart(found: torch.Tensor, right: torch.Tensor) -> float:
    """||found - right|| / ||right||, of all numbers of a tensor."""
    return ((found - right).norm() / right.norm()).item()


def assert_same(found: tuple[float, Gradients], right: tuple[float, Gradients], *, within: float = RELATIVE) -> None:
    """Loss and every gradient."""
    assert abs(found[0] - right[0]) <= within * abs(right[0])
    assert found[1].keys() == right[1].keys()
    assert all(grad.norm() > 0 for grad in right[1].values())
    far = {name: apart(found[1][name], grad) for name, grad in right[1].items()}
    assert {name: each for name, each in far.items() if each > within} == {}
