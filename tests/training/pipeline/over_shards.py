"""Two processes that hold a policy's weights between them (FSDP2, by torch itself: accelerate spreads on GPUs alone).

    python -m torch.distributed.run --nproc_per_node 2 -m tests.training.pipeline.over_shards POLICY

Prints a line of JSON for full training, for a head that is not the embeddings and is spread by itself, for LoRA: the
losses, the largest relative difference of a gradient, and whether what is put together afterwards holds the weights
that were there. Each process has a loss of its own, so that a gradient which is not their mean is another one.
"""

import json
import sys
from typing import Literal

import torch
import torch.distributed
from peft import LoraConfig, get_peft_model
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM

from training.pipeline import sharded
from training.pipeline.grouped.plan import Part
from training.pipeline.grouped.rankings import TokenPair, group
from training.pipeline.grouped.sharing import Way, find_way

PROMPT = (1, 2, 3)
RANKINGS = group([TokenPair(PROMPT, (4, 5, 6), (7, 8)), TokenPair(PROMPT, (4, 5, 6), (9, 10, 11, 12))])


Kind = Literal["full", "own head", "lora"]


def model_of(policy: str, kind: Kind) -> tuple[torch.nn.Module, Way]:
    torch.manual_seed(17)  # a head of its own is not in the checkpoint
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32, tie_word_embeddings=kind != "own head")
    way = find_way(model, RANKINGS, of="log_probs", pad_token_id=0)
    if kind != "lora":
        return model, way
    torch.manual_seed(17)
    # Matrices that are all random: of a new adapter's, one half has no gradient.
    adapters = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    return get_peft_model(model, adapters), way


def loss_of(model: torch.nn.Module, way: Way) -> torch.Tensor:
    rows = way.rows(Part(tuple(RANKINGS)), 0, torch.device("cpu"))
    said = model(rows=rows).values
    return -torch.nn.functional.logsigmoid(said[rows.chosen] - said[rows.rejected]).mean()


def compare(policy: str, kind: Kind) -> dict[str, object]:
    (whole, way), (spread, _) = (model_of(policy, kind) for _ in range(2))
    inner = spread.get_base_model() if kind == "lora" else spread
    for layer in [*inner.model.layers, *([inner.lm_head] if kind == "own head" else [])]:
        fully_shard(layer)
    fully_shard(spread)
    losses = [loss_of(model, way) for model in (whole, spread)]
    losses[0].backward()
    ranks = torch.distributed.get_world_size()
    # 1 and 2 times the loss of the one process, divided by their mean.
    (losses[1] * (1 + torch.distributed.get_rank()) / ((1 + ranks) / 2)).backward()
    right = {name: weight.grad for name, weight in whole.named_parameters() if weight.grad is not None}
    found = {name: weight.grad.full_tensor() for name, weight in spread.named_parameters() if weight.grad is not None}
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_model_state_dict(spread, options=options)
    if torch.distributed.get_rank():
        return {}
    together = dict(sharded.put_together(spread, state).named_parameters())
    return {
        "layout": way.layout,
        "losses": [loss.item() for loss in losses],
        "same_names": set(right) == set(found),
        "gradients": max(((found[name] - right[name]).norm() / right[name].norm()).item() for name in right),
        "together": all(torch.equal(together[name], weight) for name, weight in whole.named_parameters()),
    }


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    for kind in ("full", "own head", "lora"):
        if found := compare(sys.argv[1], kind):
            print(json.dumps(found))
    torch.distributed.destroy_process_group()
