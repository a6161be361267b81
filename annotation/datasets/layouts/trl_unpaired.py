"""TRL's unpaired preference format, which KTOTrainer reads: a completion, and whether it is a good one.

    {"prompt": [{"role", "content"}...], "completion": [{"role": "assistant", "content"}], "label": true, ...}

TRL, docs/source/dataset_formats.md, "Unpaired preference". Of two completions the chosen one is good and the rejected
one is not, as TRL's own `unpair_preference_dataset` has it. Of more, that function repeats each completion once a pair
and labels the middle ones both ways; here a completion is one row, good where it is above more of the others than it
is below, not good where it is below more, and left out where it is as often one as the other. Where all were found
bad, none is good; what is marked unsafe is never good.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from annotation.datasets.export_rows import Row, Rows, pseudonym
from annotation.datasets.frozen import FrozenJudgment, JudgedComparison, marks_of
from annotation.datasets.layouts.layout import MESSAGES, Features, Layout, View, conversation, reply
from annotation.rules.marks import Safety


def features(view: View) -> Features:
    columns: Features = {
        "prompt": MESSAGES,
        "completion": MESSAGES,
        "label": "bool",
        "finish_reason": "string",
        "origin": "string",
        "prompt_id": "string",
        "comparison_id": "int64",
        "split": "string",
    }
    if view.rows is Rows.JUDGMENT:
        columns |= {"annotator": "string", "kind": "string", "judgment_id": "int64"}
    return columns


def rows(judged: JudgedComparison, view: View) -> Iterator[Row]:
    if view.rows is Rows.MAJORITY:
        yield from _rows(judged, _agreed_labels(judged), {})
        return
    for judgment in judged.counting:
        who = {"annotator": pseudonym(judgment.annotator_id), "kind": judgment.kind, "judgment_id": judgment.pk}
        yield from _rows(judged, _labels_by(judged, judgment), who)


def labels_of(pairs: Iterable[tuple[int, int]]) -> dict[int, bool]:
    """Completion -> whether it is above more others than below, from (chosen, rejected); by id."""
    balance: Counter[int] = Counter()
    for chosen, rejected in pairs:
        balance[chosen] += 1
        balance[rejected] -= 1
    return {pk: wins > 0 for pk, wins in sorted(balance.items()) if wins}


def _labels_by(judged: JudgedComparison, judgment: FrozenJudgment) -> dict[int, bool]:
    if judgment.all_bad:
        return {pk: False for group in judgment.ranking for pk in sorted(group) if not _is_edit(judged, pk)}
    labels = labels_of((pair.chosen, pair.rejected) for pair in judged.pairs_by(judgment)[0])
    return _never_good(labels, {pk for pk, mark in marks_of(judgment).items() if mark.safety == Safety.UNSAFE})


def _agreed_labels(judged: JudgedComparison) -> dict[int, bool]:
    """The same over all annotators: found all bad by most, or marked unsafe by most of those who marked it."""
    if judged.is_all_bad:
        ranked = {pk for judgment in judged.counting for group in judgment.ranking for pk in group}
        return {pk: False for pk in sorted(ranked) if not _is_edit(judged, pk)}
    labels = labels_of((pair.chosen, pair.rejected) for pair in judged.consensus().pairs)
    return _never_good(labels, judged.unsafe)


def _never_good(labels: dict[int, bool], unsafe: set[int]) -> dict[int, bool]:
    return {pk: label for pk, label in labels.items() if not (label and pk in unsafe)}


def _is_edit(judged: JudgedComparison, pk: int) -> bool:
    return judged.completions[pk].edit_of_id is not None


def _rows(judged: JudgedComparison, labels: dict[int, bool], who: Row) -> Iterator[Row]:
    for pk, label in labels.items():
        completion = judged.completions[pk]
        yield {
            "prompt": conversation(judged),
            "completion": [reply(completion.text)],
            "label": label,
            "finish_reason": completion.finish_reason,
            "origin": completion.origin,
            "prompt_id": str(judged.prompt.pk),
            "comparison_id": judged.comparison_id,
            "split": judged.prompt.split,
        } | who


def _note(view: View) -> str:
    if view.rows is Rows.JUDGMENT:
        whose, bad = "each judgment's own pairs", "an annotator"
    else:
        whose, bad = f"the pairs that are agreed on {view.agreed}", "more than half of the annotators"
    return (
        f"One row per completion, from {whose}: `label` is true where it stands above more of the others than below, "
        f"and false where it stands below more; one that does neither gives no row. Where {bad} found all bad, "
        "all are false; what is marked unsafe is never true."
    )


LAYOUT = Layout(
    key="trl_unpaired",
    label="TRL unpaired (KTO)",
    about="For KTOTrainer: a row a completion, with whether it is a good one.",
    features=features,
    rows=rows,
    meanings={
        "`prompt`, `completion`": "chat messages, as TRL's unpaired preference format has them",
        "`label`": "whether it is a good one",
        "`finish_reason`": "`stop`, or `length` for a completion that was cut off",
        "`origin`": "`model`, `imported`, or `person` for a better answer that an annotator wrote",
    },
    note=_note,
    tags=("trl", "kto"),
)
