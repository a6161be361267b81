"""OpenAI's preference fine-tuning format, and no column more: its service refuses what it does not know.

    {"input": {"messages": [...], "tools": [], "parallel_tool_calls": true},
     "preferred_output": [{"role": "assistant", "content"}], "non_preferred_output": [...]}

OpenAI, "Direct preference optimization" guide, "Prepare your dataset".
"""

from collections.abc import Iterator

from annotation.datasets.export_rows import Row
from annotation.datasets.frozen import JudgedComparison
from annotation.datasets.layouts.layout import MESSAGES, Features, Layout, View, conversation, reply
from annotation.datasets.layouts.pairs import pairs_in, what_a_pair_is


def features(view: View) -> Features:
    return {
        "input": {"struct": {"messages": MESSAGES, "tools": {"list": "string"}, "parallel_tool_calls": "bool"}},
        "preferred_output": MESSAGES,
        "non_preferred_output": MESSAGES,
    }


def rows(judged: JudgedComparison, view: View) -> Iterator[Row]:
    for pair in pairs_in(judged, view):
        yield {
            "input": {"messages": conversation(judged), "tools": [], "parallel_tool_calls": True},
            "preferred_output": [reply(judged.completions[pair.chosen].text)],
            "non_preferred_output": [reply(judged.completions[pair.rejected].text)],
        }


def _note(view: View) -> str:
    return f"{what_a_pair_is(view)} The format has no place for who judged or how strongly."


LAYOUT = Layout(
    key="openai_preference",
    label="OpenAI preference",
    about="For OpenAI's preference fine-tuning: a row a pair, and only the three columns that it knows.",
    features=features,
    rows=rows,
    meanings={
        "`input`": "the conversation so far, as `messages`; no tools",
        "`preferred_output`, `non_preferred_output`": "the chosen and the rejected completion, as messages",
    },
    note=_note,
    tags=("openai", "dpo"),
)
