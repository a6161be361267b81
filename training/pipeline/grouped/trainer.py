"""What TRL's trainers do otherwise on rankings: an item of the data is a step, and a loss is of its whole rankings.

A step's parts go through the model one after another, as micro batches do, and its gradients are exchanged once. Each
pair of a step counts the same, whichever part or process it is in, which micro batches of TRL that are not full do not
give (`training.pipeline.arguments`).
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import DistributedType
from datasets import Dataset
from torch import nn
from trl import DPOTrainer, RewardTrainer

from training.pipeline.grouped.heads import Answers
from training.pipeline.grouped.losses import DpoTerms, bradley_terry_losses, dpo_losses
from training.pipeline.grouped.plan import Part, Step
from training.pipeline.grouped.rows import Rows
from training.pipeline.grouped.sharing import Way

ITEM = "step"
Tensor = torch.Tensor


@dataclass(frozen=True)
class Planned:
    """What is trained on, in its order: each step's share for each process."""

    steps: Sequence[Sequence[Step]]
    way: Way
    pad_token_id: int
    tokens_together: int  # that go through the model at once, on each device
    settings: dict[str, Any]  # for the record of what was run

    def as_dataset(self) -> Dataset:
        """An item for each step and process, in the order in which accelerate deals them out."""
        return Dataset.from_dict({ITEM: list(range(sum(map(len, self.steps))))})

    def item(self, number: int) -> Step:
        processes = len(self.steps[0])
        return self.steps[number // processes][number % processes]


class OnRankings:
    """Mixed in before one of TRL's trainers, which is told ``planned.as_dataset()`` and batches of one item."""

    loss_is_scaled_for_ga = True  # `loss_of` divides by the weight of the whole step

    def __init__(self, *args: Any, planned: Planned, **kwargs: Any) -> None:
        self.planned = planned
        self.tokens_together = planned.tokens_together
        self.settings = planned.settings
        self._sums: dict[str, Tensor] = {}  # of the step that is being computed, on this process
        super().__init__(*args, train_dataset=planned.as_dataset(), data_collator=self._collate, **kwargs)

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = [ITEM]

    def _collate(self, items: list[dict[str, int]]) -> dict[str, Any]:
        (item,) = items
        return {ITEM: self.planned.item(item[ITEM])}

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # transformers would look for the tokens of a batch, and warn

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and back through each part; returns the step's loss (), as this process's share of the mean."""
        step: Step = inputs[ITEM]
        losses = []
        for number, part in enumerate(step.parts, start=1):
            with self._exchanging_gradients(model, is_last=number == len(step.parts)):
                losses.append(super().training_step(model, {"part": part, "of_step": step}))
        self._tell_metrics()
        return torch.stack(losses).sum()

    @contextlib.contextmanager
    def _exchanging_gradients(self, model: nn.Module, *, is_last: bool) -> Iterator[None]:
        """As transformers' loop does between micro batches."""
        self.accelerator.gradient_state._set_sync_gradients(is_last)
        waits = not is_last and self.accelerator.distributed_type != DistributedType.DEEPSPEED
        with self.accelerator.no_sync(model) if waits else contextlib.nullcontext():
            yield

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        part, step = inputs["part"], inputs["of_step"]
        rows = self.rows(part)
        loss = self.loss_of(model(rows=rows), rows, part, step)
        self._count(rows, tokens=rows.tokens, positions=rows.positions)
        # Gradients are averaged over processes, and a step's loss is a sum over them.
        return loss * self.accelerator.num_processes

    def rows(self, part: Part) -> Rows:
        return self.planned.way.rows(part, self.planned.pad_token_id, self.accelerator.device)

    def loss_of(self, answers: Answers, rows: Rows, part: Part, step: Step) -> Tensor:
        """The part's share of the step's loss ()."""
        raise NotImplementedError

    def _count(self, rows: Rows, **values: float | Tensor) -> None:
        """Add up figures of a part; one that only keeps step, and has no weight, adds nought."""
        counts = (rows.weights > 0).any()
        for name, value in values.items():
            added = torch.as_tensor(value, dtype=torch.float64, device=self.accelerator.device).detach() * counts
            self._sums[name] = self._sums.get(name, 0) + added

    def _count_pairs(self, rows: Rows, **values: Tensor) -> None:
        """Of each pair (P,); to be told as means over the step's pairs."""
        counts = (rows.weights > 0).double()
        lengths = rows.lengths.double()
        values |= {"chosen_tokens": lengths[rows.chosen], "rejected_tokens": lengths[rows.rejected]}
        self._count(
            rows, pairs=counts.sum(), **{f"of_pairs:{name}": (each * counts).sum() for name, each in values.items()}
        )

    def _tell_metrics(self) -> None:
        """Add up what all processes counted, and log the step's means under TRL's names."""
        names = list(self._sums)
        sums = dict(
            zip(names, self.accelerator.reduce(torch.stack([self._sums[name] for name in names])).tolist(), strict=True)
        )
        self._sums = {}
        self._total_train_tokens += round(sums["tokens"])
        told = {
            "num_tokens": self._total_train_tokens,
            "pairs": sums["pairs"],
            "padding": 1 - sums["tokens"] / sums["positions"],
            **self.told_of(sums),
        }
        means = {name.removeprefix("of_pairs:"): value / sums["pairs"] for name, value in sums.items() if ":" in name}
        for name, value in (told | means).items():
            self._metrics["train"][name].append(value)

    def told_of(self, sums: dict[str, float]) -> dict[str, float]:
        """More figures of a step."""
        return {}


class GroupedDpoTrainer(OnRankings, DPOTrainer):
    """DPO on whole rankings. ``reference_of`` gives what the reference says of a part's completions."""

    def __init__(self, *args: Any, terms: DpoTerms, **kwargs: Any) -> None:
        self.terms = terms
        super().__init__(*args, **kwargs)

    def reference_of(self, part: Part) -> Tensor:
        raise NotImplementedError

    def loss_of(self, answers: Answers, rows: Rows, part: Part, step: Step) -> Tensor:
        ratios = answers.values - self.reference_of(part).to(answers.values.device)
        pairs = dpo_losses(ratios, rows.lengths, rows.chosen, rows.rejected, self.terms)
        loss = (pairs * rows.weights).sum() / step.weight
        if self.terms.nll_weight:
            chosen = (answers.values[rows.chosen] * rows.weights).sum()
            loss = loss - self.terms.nll_weight * chosen / step.chosen_tokens
        self._count_answers(answers, ratios.detach(), rows)
        return loss

    def _count_answers(self, answers: Answers, ratios: Tensor, rows: Rows) -> None:
        rewards, said = self.terms.beta * ratios, answers.values.detach()
        one, other = rewards[rows.chosen], rewards[rows.rejected]
        self._count_pairs(
            rows,
            **{
                "rewards/chosen": one,
                "rewards/rejected": other,
                "rewards/accuracies": (one > other).double(),
                "rewards/margins": one - other,
                "logps/chosen": said[rows.chosen],
                "logps/rejected": said[rows.rejected],
                "mean_token_accuracy": answers.said_right[rows.chosen],
            },
        )
        self._count(rows, said=rows.lengths.sum(), entropies=(answers.entropy * rows.lengths).sum())

    def told_of(self, sums: dict[str, float]) -> dict[str, float]:
        return {"entropy": sums["entropies"] / sums["said"]}


class GroupedRewardTrainer(OnRankings, RewardTrainer):
    """Bradley-Terry on whole rankings, with margins."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._rewards: list[Tensor] = []  # of the step that is being computed, on this process
        super().__init__(*args, **kwargs)

    def loss_of(self, answers: Answers, rows: Rows, part: Part, step: Step) -> Tensor:
        rewards = answers.values
        center = self.args.center_rewards_coefficient or 0.0
        pairs = bradley_terry_losses(rewards, rows.chosen, rows.rejected, rows.margins, center)
        told = rewards.detach()
        if (rows.weights > 0).any():
            self._rewards.append(told)
        one, other = told[rows.chosen], told[rows.rejected]
        self._count_pairs(rows, accuracy=(one > other).double(), margin=one - other)
        self._count(rows, rewards=told.sum(), completions=len(told))
        return (pairs * rows.weights).sum() / step.weight

    def told_of(self, sums: dict[str, float]) -> dict[str, float]:
        device, own = self.accelerator.device, self._rewards
        self._rewards = []
        lowest = min((each.min() for each in own), default=torch.tensor(torch.inf, device=device))
        highest = max((each.max() for each in own), default=torch.tensor(-torch.inf, device=device))
        lowest, highest = self.accelerator.gather(torch.stack([lowest, highest])).view(-1, 2).T
        mean = sums["rewards"] / sums["completions"]
        return {"min_reward": lowest.min().item(), "mean_reward": mean, "max_reward": highest.max().item()}
