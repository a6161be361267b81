"""How often each annotator of a snapshot is right, estimated when it is frozen. Needs numpy: not for web processes."""

from array import array
from itertools import groupby

import numpy as np

from annotation.figures.dawid_skene import accuracies
from annotation.models import DatasetSnapshot
from annotation.rules.ranking import Ranking, pairs_of

DIGITS = 6
JUDGMENTS_AT_ONCE = 2000


def accuracies_of(snapshot: DatasetSnapshot) -> dict[int, float]:
    """By annotator's id, over all pairs that no reviewer has decided: 13 bytes of memory a judgment's pair."""
    pairs, annotators, votes = array("i"), array("i"), array("b")
    numbers: dict[int, int] = {}
    count = 0
    members = DatasetSnapshot.judgments.through.objects.filter(datasetsnapshot=snapshot).order_by("pk")
    rows = members.values_list(
        "judgment__comparison_id", "judgment__annotator_id", "judgment__is_decision", "judgment__ranking"
    ).iterator(chunk_size=JUDGMENTS_AT_ONCE)
    for _, group in groupby(rows, key=lambda row: row[0]):
        judged = list(group)
        if any(is_decision for _, _, is_decision, _ in judged):
            continue
        seen: dict[tuple[int, int], int] = {}
        for _, annotator, _, ranking in judged:
            for pair in pairs_of(Ranking(ranking)):
                low_high = min(pair.chosen, pair.rejected), max(pair.chosen, pair.rejected)
                pairs.append(seen.setdefault(low_high, count + len(seen)))
                annotators.append(numbers.setdefault(annotator, len(numbers)))
                votes.append(1 if pair.chosen < pair.rejected else -1)
        count += len(seen)
    found = accuracies(np.asarray(pairs), np.asarray(annotators), np.asarray(votes))
    return {annotator: round(float(found[number]), DIGITS) for annotator, number in numbers.items()}
