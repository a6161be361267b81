"""Whether two trainers computed the same: the loss of a step, and every gradient of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Parity:
    """How far ours is from TRL's, each relative to TRL's."""

    loss: float
    trl_loss: float
    loss_difference: float
    gradient_difference: float  # the largest norm of a difference between two tensors, to the tensor's own norm
    worst: str  # which tensor
    tensors: int

    @property
    def holds(self) -> bool:
        return max(self.loss_difference, self.gradient_difference) <= TOLERANCE


def compare(ours: Path, trl: Path, *, loss: float, trl_loss: float) -> Parity:
    """Of two files of gradients; raises `ValueError` where they are not of the same tensors."""
    with safe_open(ours, "numpy") as one, safe_open(trl, "numpy") as other:
        names = sorted(other.keys())
        if sorted(one.keys()) != names:
            raise ValueError(f"Only one of the two has gradients of {set(one.keys()) ^ set(names)}.")
        apart = {name: _apart(one.get_tensor(name), other.get_tensor(name)) for name in names}
    worst = max(apart, key=apart.__getitem__)
    difference = abs(loss - trl_loss) / abs(trl_loss)
    return Parity(loss, trl_loss, difference, apart[worst], worst, len(apart))


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    difference, norm = (float(np.linalg.norm(each.astype(np.float64))) for each in (one - other, other))
    return difference / norm if norm else difference
