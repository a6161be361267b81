"""Whether training moved what is saved: a few of the starting weights, remembered."""

import torch

from sampling.engine.run_dir import RunDirError

ADDED_BY_PEFT = ("lora_", "modules_to_save", "original_module")


class WeightWatch:
    """Remembers a few of the starting weights, to tell whether training moved what is saved."""

    def __init__(self, model: torch.nn.Module, *, tensors: int = 8) -> None:
        # PEFT wraps layers, and unwraps them when it merges: the names are those without it.
        named = [
            (name.removeprefix("base_model.model.").replace(".base_layer", ""), weight)
            for name, weight in model.named_parameters()
            if weight.ndim == 2 and not any(part in name for part in ADDED_BY_PEFT)
        ]
        every = max(1, len(named) // tensors)
        self.before = {name: weight.detach().clone() for name, weight in named[::every]}

    def share_changed(self, model: torch.nn.Module, dtype: torch.dtype) -> float:
        """The share of the remembered weights that differ from their start, both stored as `dtype`."""
        after = dict(model.named_parameters())
        changed = total = 0
        for name, before in self.before.items():
            changed += int((after[name].detach().cpu().to(dtype) != before.cpu().to(dtype)).sum())
            total += before.numel()
        if changed == 0:
            raise RunDirError(
                f"Training changed none of {total} weights once they are stored as {dtype}: the steps "
                "are smaller than what it can tell apart. Raise learning_rate or epochs in the recipe."
            )
        return changed / total
