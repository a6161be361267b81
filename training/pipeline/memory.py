"""How many rows a device holds together: chosen from the machine's memory, once for a stage.

It never decides what is learned: a step always has the recipe's ``batch`` rows, reached by accumulation. The whole
memory of the machine is asked, not what is free at the moment, so that the same machine chooses the same again and a
stage that is resumed goes on as it began. No torch here, but for a GPU.
"""

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sampling import checkpoints
from sampling.engine.run_dir import RunDirError, write_json
from training.pipeline.schedule import USUAL_MICRO_BATCH, largest_divisor
from training.recipe import PairTraining, Training

CHOSEN = "micro_batch.json"
MOST = 64  # more rows together train no faster
OURS = 0.7  # of a device's memory: libraries, fragments and estimates that are too low need the rest

# Bytes of each parameter that trains: the weight in 32 bits, its gradient, and what the optimiser remembers (AdamW two
# numbers, RMSProp one); autocast keeps a copy in 16 bits beside it.
TRAINED = {"adamw": 4 + 4 + 8, "rmsprop": 4 + 4 + 4}
FROZEN_4_BIT = 0.56  # with the scales of blocks of 64, themselves quantised (arXiv 2305.14314, section 3)
# Activations that a layer keeps for each token, in numbers of its width: 34 bytes in 16 bits for attention and a
# feed-forward of four widths (arXiv 2205.05198, equation 2, without the attention scores, which are not kept).
KEPT_OF_A_LAYER = 17
# For each token and word of the vocabulary: logits, their softmax and their gradient, partly in 32 bits.
LOGITS_BYTES = 12


@dataclass(frozen=True)
class ModelSize:
    """What memory depends on; read from a checkpoint's configuration and headers."""

    parameters: int
    vocabulary: int
    width: int
    layers: int


def fixed_bytes(recipe: Training, size: ModelSize, *, bf16: bool) -> float:
    """Bytes that the model takes before it reads a row."""
    if recipe.method == "full":
        return size.parameters * (TRAINED[recipe.optimizer] + (2 if bf16 else 0))
    embeddings = size.vocabulary * size.width  # kept as they are, even beside four bits
    if recipe.method == "qlora":
        base = (size.parameters - embeddings) * FROZEN_4_BIT + embeddings * 2
    else:
        base = size.parameters * (2 if bf16 else 4)
    # Each layer has seven matrices of about width x width or a few times that; an adapter is two thin ones for each.
    adapters = size.layers * 7 * 2 * 2 * size.width * recipe.lora_rank
    return base + adapters * TRAINED[recipe.optimizer]


def bytes_of_a_row(recipe: Training, size: ModelSize, *, bf16: bool) -> float:
    """Bytes that a row of ``max_length`` tokens takes on its way forward and back; a pair is two sequences."""
    number = 2 if bf16 else 4
    one_layer = KEPT_OF_A_LAYER * size.width * number
    inputs_of_layers = size.layers * size.width * number
    layers = inputs_of_layers + one_layer if recipe.gradient_checkpointing else size.layers * one_layer
    sequences = 2 if isinstance(recipe, PairTraining) else 1
    return sequences * recipe.max_length * (layers + size.vocabulary * LOGITS_BYTES)


def micro_batch_of(recipe: Training, size: ModelSize, *, bytes_free: float, bf16: bool, processes: int = 1) -> int:
    """The largest divisor of a device's share of the batch whose rows fit into ``bytes_free``; at least 1, at most 64.

    Where not even one row fits by this estimate, one is tried: the estimate is rough, and one is the least.
    """
    rows = (bytes_free - fixed_bytes(recipe, size, bf16=bf16)) / bytes_of_a_row(recipe, size, bf16=bf16)
    return largest_divisor(max(1, recipe.batch // processes), at_most=max(1, min(MOST, int(rows))))


def device_bytes() -> float:
    """The memory of one device of this machine, or this process's share of the machine's where it has no GPU."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *_limits_of_the_container()]) / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def size_of(policy: str) -> ModelSize | None:
    """The size of a checkpoint in a directory; None for what is not here or says nothing of it, such as a hub id."""
    parameters = checkpoints.parameters(policy)
    if not parameters:
        return None
    try:
        config = json.loads((Path(policy) / "config.json").read_text(encoding="utf-8"))
        config = config.get("text_config", config)
        return ModelSize(parameters, config["vocab_size"], config["hidden_size"], config["num_hidden_layers"])
    except (OSError, ValueError, KeyError):
        return None


def rows_together(recipe: Training, *, policy: str, run_dir: Path, bf16: bool, processes: int = 1) -> int:
    """What this stage takes: the recipe's number, else what an earlier attempt chose, else what the memory holds."""
    if recipe.micro_batch:
        return recipe.micro_batch
    asked = [policy, recipe.method, recipe.batch, recipe.max_length, recipe.gradient_checkpointing, bf16, processes]
    path = run_dir / CHOSEN
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["asked"] == asked:
            return known["micro_batch"]
    size = size_of(policy)
    free = OURS * device_bytes()
    rows = micro_batch_of(recipe, size, bytes_free=free, bf16=bf16, processes=processes) if size else USUAL_MICRO_BATCH
    if os.environ.get("RANK", "0") == "0":
        write_json(path, {"asked": asked, "micro_batch": rows})
    return rows


def free() -> None:
    """Give back what nobody holds any more: a trainer and its parts hold each other until they are collected."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def smaller_after_out_of_memory(recipe: Training, run_dir: Path) -> Iterator[None]:
    """On a GPU that ran out of memory, note the next smaller micro batch and start the program again.

    A new process is the one sure way to get the memory back. It begins anew: other micro batches are another order.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        smaller = _note_smaller(recipe, run_dir)
        if os.environ.get("WORLD_SIZE", "1") != "1":  # the other processes would wait for this one
            raise RunDirError(
                f"A GPU ran out of memory. Start the stage again: it will take {smaller} rows together."
            ) from None
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - the same program, with its own arguments


def _note_smaller(recipe: Training, run_dir: Path) -> int:
    """Write half the rows into the stage's choice; raises what is being handled where the recipe fixes the number, or
    one row was too much."""
    path = run_dir / CHOSEN
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"micro_batch": 1}
    if recipe.micro_batch or known["micro_batch"] == 1:
        raise
    smaller = largest_divisor(known["micro_batch"], at_most=known["micro_batch"] // 2)
    write_json(path, known | {"micro_batch": smaller})
    return smaller


def _limits_of_the_container() -> list[float]:
    limits = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(float(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    return limits
