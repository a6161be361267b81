"""Conversations to imitate, which SFTTrainer reads: each prompt with the best of its completions.

    {"messages": [{"role", "content"}..., {"role": "assistant", "content"}], ...}

TRL, docs/source/dataset_formats.md, "Language modeling", conversational. The best completion of a comparison is the
one that nobody's pair puts below another and that is above most others; ties by rule: of equals an annotator's better
answer first (somebody took the trouble to write it), then one that was not cut off, then the shorter one (length is
the best known bias of preferences, arXiv 2310.03716), then the one that was written first. A comparison in which
nothing is above anything, or whose best was found bad or unsafe, gives no row. A prompt that was compared several
times gives the row of its first comparison that has one.
"""

from collections import Counter
from collections.abc import Iterator

from annotation.datasets.export_rows import Row, Rows
from annotation.datasets.frozen import JudgedComparison
from annotation.datasets.layouts.layout import MESSAGES, Features, Layout, View, conversation, reply
from sampling.models import Origin


def features(view: View) -> Features:
    return {
        "messages": MESSAGES,
        "wins": "int64",
        "losses": "int64",
        "finish_reason": "string",
        "origin": "string",
        "prompt_id": "string",
        "comparison_id": "int64",
        "split": "string",
    }


def rows(judged: JudgedComparison, view: View) -> Iterator[Row]:
    wins, losses = _balance(judged, view)
    pk = _best(judged, wins, losses)
    if pk is None:
        return
    completion = judged.completions[pk]
    yield {
        "messages": [*conversation(judged), reply(completion.text)],
        "wins": wins[pk],
        "losses": losses[pk],
        "finish_reason": completion.finish_reason,
        "origin": completion.origin,
        "prompt_id": str(judged.prompt.pk),
        "comparison_id": judged.comparison_id,
        "split": judged.prompt.split,
    }


def _balance(judged: JudgedComparison, view: View) -> tuple[Counter[int], Counter[int]]:
    """How often each stands above another, and below: in each judgment's pairs, or in the agreed ones."""
    wins: Counter[int] = Counter()
    losses: Counter[int] = Counter()
    pairs = (
        judged.consensus().pairs
        if view.rows is Rows.MAJORITY
        else [pair for judgment in judged.counting for pair in judged.pairs_by(judgment)[0]]
    )
    for pair in pairs:
        wins[pair.chosen] += 1
        losses[pair.rejected] += 1
    return wins, losses


def _best(judged: JudgedComparison, wins: Counter[int], losses: Counter[int]) -> int | None:
    unsafe = judged.unsafe
    candidates = [pk for pk in wins if pk not in unsafe]
    if judged.is_all_bad:
        candidates = [pk for pk in candidates if judged.completions[pk].origin == Origin.PERSON]
    above = [pk for pk in candidates if wins[pk] > losses[pk]]
    return min(above, key=lambda pk: _order(judged, pk, wins[pk] - losses[pk]), default=None)


def _order(judged: JudgedComparison, pk: int, balance: int) -> tuple:
    completion = judged.completions[pk]
    is_edit, is_cut = completion.origin == Origin.PERSON, completion.finish_reason == "length"
    return (-balance, not is_edit, is_cut, len(completion.text), pk)


def _note(view: View) -> str:
    whose = f"are agreed on {view.agreed}" if view.rows is Rows.MAJORITY else "single judgments give"
    return (
        f"One row per prompt: the completion that stands above more others than below in the pairs that {whose}. Of "
        "equals: an annotator's better answer, then one that was not cut off, then the shorter, then the older one. "
        "Prompts without such a completion, or whose best was found bad or unsafe, give no row; of a prompt that was "
        "compared several times, its first comparison that has one decides."
    )


LAYOUT = Layout(
    key="sft",
    label="SFT",
    about="For SFTTrainer: a conversation a prompt, ending with the best of its completions.",
    features=features,
    rows=rows,
    meanings={
        "`messages`": "the conversation, ending with the best completion",
        "`wins`, `losses`": "pairs in which it stands above another, and below",
        "`finish_reason`": "`stop`, or `length` for a completion that was cut off",
        "`origin`": "`model`, `imported`, or `person` for a better answer that an annotator wrote",
    },
    note=_note,
    once_a_prompt=True,
    tags=("trl", "sft"),
)
