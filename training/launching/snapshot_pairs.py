"""How many pairs a stage will find in a snapshot, by whose judgments it counts. Reads a snapshot's counts alone.

Pairs are counted when a snapshot is frozen, over all that it holds. Those that people alone agree on are known where
all judgments are theirs, or none; of a mixed snapshot they are estimated.
"""

from collections.abc import Mapping, Sequence

from annotation.models import DatasetSnapshot, JudgeKind
from training.running.round_data import KINDS


def train_pairs(snapshot: DatasetSnapshot, judges: str = "all") -> int:
    """The pairs that a round learns from: those that most annotators agree on."""
    return _pairs(snapshot, "train", judges)


def held_out_pairs(snapshot: DatasetSnapshot, judges: str = "all") -> int:
    return _pairs(snapshot, "eval", judges)


def judged_by(snapshots: Sequence[DatasetSnapshot], judges: str) -> bool:
    """Whether any judgment in any of them counts."""
    return any(_judgments(snapshot, judges) for snapshot in snapshots)


def others_in_words(snapshots: Sequence[DatasetSnapshot], judges: str) -> str:
    """ "606 by simulated annotators": the judgments that do not count."""
    counts = {
        kind: sum(_by_kind(snapshot).get(kind, 0) for snapshot in snapshots)
        for kind in JudgeKind
        if kind not in KINDS[judges]
    }
    return " and ".join(
        f"{n:,} imported" if kind is JudgeKind.IMPORTED else f"{n:,} by {kind.label}s"
        for kind, n in counts.items()
        if n
    )


def _pairs(snapshot: DatasetSnapshot, split: str, judges: str) -> int:
    """At most as many as all agree on; of a mixed snapshot by the share of judgments, each with its own pairs."""
    agreed = snapshot.counts.get(f"majority_pairs_{split}", 0)
    judgments, counting = sum(_by_kind(snapshot).values()), _judgments(snapshot, judges)
    if counting == judgments:
        return agreed
    each = snapshot.counts.get(f"pairs_{split}", agreed)
    return min(agreed, round(each * counting / judgments))


def _judgments(snapshot: DatasetSnapshot, judges: str) -> int:
    return sum(number for kind, number in _by_kind(snapshot).items() if kind in KINDS[judges])


def _by_kind(snapshot: DatasetSnapshot) -> Mapping[str, int]:
    """Judgments by kind of judge. Of a snapshot without the figure: as if of every kind that was let in alike."""
    return snapshot.counts.get("by_kind") or dict.fromkeys(snapshot.kinds or JudgeKind.values, 1)
