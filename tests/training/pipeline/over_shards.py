"""Two processes that hold a policy's weights between them (FSDP2, by torch itself: accelerate spreads on GPUs alone).

    python -m torch.distributed.run --nproc_per_node 2 -m tests.training.pipeline.over_shards POLICY

Prints one line of JSON for full training and one for LoRA: the losses, the largest relative difference of a gradient,
and whether what is put together afterwards holds the weights that were there.
"""

import json
import sys

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


def model_of(policy: str, *, with_adapters: bool) -> tuple[torch.nn.Module, Way]:
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)
    way = find_way(model, RANKINGS, of="log_probs", pad_token_id=0)
    if not with_adapters:
        return model, way
    torch.manual_seed(17)
    # Matrices that are all random: of a new adapter's, one half has no gradient.
    adapters = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    return get_peft_model(model, adapters), way


def loss_of(model: torch.nn.Module, way: Way) -> torch.Tensor:
    rows = way.rows(Part(tuple(RANKINGS)), 0, torch.device("cpu"))
    said = model(rows=rows).values
    return -torch.nn.functional.logsigmoid(said[rows.chosen] - said[rows.rejected]).mean()


def compare(policy: str, *, with_adapters: bool) -> dict[str, object]:
    whole, way = model_of(policy, with_adapters=with_adapters)
    spread, _ = model_of(policy, with_adapters=with_adapters)
    for layer in (spread.get_base_model() if with_adapters else spread).model.layers:
        fully_shard(layer)
    fully_shard(spread)
    losses = [loss_of(model, way) for model in (whole, spread)]
    for loss in losses:
        loss.backward()
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
    for with_adapters in (False, True):
        if found := compare(sys.argv[1], with_adapters=with_adapters):
            print(json.dumps(found))
    torch.distributed.destroy_process_group()
