"""The rows of UltraFeedback binarized, which the alignment handbook's recipes read: whole conversations on both sides.

    {"prompt": str, "prompt_id": str, "chosen": [messages], "rejected": [messages], "messages": [messages],
     "score_chosen": float, "score_rejected": float}

Dataset card of HuggingFaceH4/ultrafeedback_binarized. There, scores are ratings from 1 to 10 by a model; nobody rated
here, so they are how probable it is that each is the better one: 1 and 0 for a judgment's own pair. `prompt` is the
last user turn, `messages` the chosen conversation.
"""

import hashlib
from collections.abc import Iterator

from annotation.datasets.export_rows import Row
from annotation.datasets.frozen import JudgedComparison
from annotation.datasets.layouts.layout import MESSAGES, Features, Layout, View, conversation, reply
from annotation.datasets.layouts.pairs import pairs_in, what_a_pair_is
from annotation.rules.aggregation import DIGITS


def features(view: View) -> Features:
    return {
        "prompt": "string",
        "prompt_id": "string",
        "chosen": MESSAGES,
        "rejected": MESSAGES,
        "messages": MESSAGES,
        "score_chosen": "float64",
        "score_rejected": "float64",
    }


def rows(judged: JudgedComparison, view: View) -> Iterator[Row]:
    turns = conversation(judged)
    prompt = next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")
    prompt_id = hashlib.sha256(prompt.encode()).hexdigest()
    for pair in pairs_in(judged, view):
        chosen = [*turns, reply(judged.completions[pair.chosen].text)]
        yield {
            "prompt": prompt,
            "prompt_id": prompt_id,
            "chosen": chosen,
            "rejected": [*turns, reply(judged.completions[pair.rejected].text)],
            "messages": chosen,
            "score_chosen": pair.probability,
            "score_rejected": round(1 - pair.probability, DIGITS),
        }


def _note(view: View) -> str:
    return f"{what_a_pair_is(view)} The scores are probabilities that each is the better one, not ratings."


LAYOUT = Layout(
    key="ultrafeedback_binarized",
    label="UltraFeedback binarized",
    about="As the alignment handbook reads it: a row a pair, with the whole conversation on both sides.",
    features=features,
    rows=rows,
    meanings={
        "`prompt`, `prompt_id`": "the last user turn, and its SHA-256",
        "`chosen`, `rejected`": "the whole conversation with each completion",
        "`messages`": "the same as `chosen`, for SFT",
        "`score_chosen`, `score_rejected`": "how probable it is that each is the better one, by the judgments",
    },
    note=_note,
    tags=("dpo", "ultrafeedback"),
)
