"""TRL's preference format, conversational with an explicit prompt: the layout that our own training reads.

    {"prompt": [{"role", "content"}...], "chosen": [{"role": "assistant", ...}], "rejected": [...], "margin": 1.0, ...}

TRL, docs/source/dataset_formats.md, "Preference"; RewardTrainer reads `margin`. All other columns are ours and stand
beside: the trainers leave them alone. The rows themselves are made in export_rows.py, which training uses as well.
"""

from collections.abc import Iterator

from annotation.datasets.export_rows import Row, Rows, features_of, rows_of
from annotation.datasets.frozen import JudgedComparison
from annotation.datasets.layouts.layout import Features, Layout, View


def features(view: View) -> Features:
    columns = features_of(view.rows, view.marks)
    return columns | {"rationale": "string"} if _has_rationale(view) else columns


def rows(judged: JudgedComparison, view: View) -> Iterator[Row]:
    found = rows_of(judged, view.rows, view.marks)
    if not _has_rationale(view):
        return found
    said = {judgment.pk: judgment.rationale for judgment in judged.counting}
    return (row | {"rationale": said[row["judgment_id"]]} for row in found)


def _has_rationale(view: View) -> bool:
    return view.has_rationales and view.rows is Rows.JUDGMENT


def _note(view: View) -> str:
    return ""  # the card's own text is about these rows


LAYOUT = Layout(
    key="trl_preference",
    label="TRL preference",
    about="For RewardTrainer and DPOTrainer: a row a pair, chosen and rejected, with everything that is known of it.",
    features=features,
    rows=rows,
    meanings={},
    note=_note,
    has_rationales=True,
    tags=("trl", "dpo", "reward-model"),
)
