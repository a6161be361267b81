"""Whether two trainers computed the same: the loss of a step, and every gradient of it."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

TOLERANCE = 1e-5
AS_TRL_ITSELF = 3.0  # times as far as TRL is from itself


@dataclass(frozen=True)
class Apart:
    """How far one step is from another one that should be the same, relative to the other."""

    loss: float
    gradients: float  # of all gradients as one vector, by its norm
    worst_gradient: float  # of one tensor, by its own norm
    worst: str  # which tensor
    tensors: int


@dataclass(frozen=True)
class Parity:
    """Ours beside TRL's, and TRL's beside itself with the same pairs in another order: what rounding comes to."""

    ours: Apart
    trl_itself: Apart
    loss: float  # TRL's

    @property
    def holds(self) -> bool:
        """Whether ours is TRL's within 1e-5, or as near to it as TRL is to itself."""
        allowed = {name: max(TOLERANCE, AS_TRL_ITSELF * getattr(self.trl_itself, name)) for name in FIGURES}
        return all(getattr(self.ours, name) <= most for name, most in allowed.items())


FIGURES = ("loss", "gradients", "worst_gradient")


def compare(one: Path, other: Path, *, loss: float, other_loss: float) -> Apart:
    """Of two files of gradients; raises `ValueError` where they are not of the same tensors."""
    with safe_open(one, "numpy") as first, safe_open(other, "numpy") as second:
        names = sorted(second.keys())
        if sorted(first.keys()) != names:
            raise ValueError(f"Only one of the two has gradients of {set(first.keys()) ^ set(names)}.")
        norms = {name: _norms(first.get_tensor(name), second.get_tensor(name)) for name in names}
    ratios = {name: difference / norm if norm else difference for name, (difference, norm) in norms.items()}
    worst = max(ratios, key=ratios.__getitem__)
    whole = math.hypot(*(difference for difference, _ in norms.values())) / math.hypot(*(n for _, n in norms.values()))
    return Apart(abs(loss - other_loss) / abs(other_loss), whole, ratios[worst], worst, len(norms))


def _norms(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Of the difference, and of the other."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    return float(np.linalg.norm(one - other)), float(np.linalg.norm(other))
