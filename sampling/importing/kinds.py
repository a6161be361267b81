"""The kinds of imports in a person's words, for the pages; what keeps each is a store (stores.py)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    title: str
    words: str  # what an import of this kind brings
    next: str  # what is done with it then


KINDS = {
    "prompts": Kind(
        "Prompts",
        "What models are to answer: questions, tasks, conversations.",
        "Then sample completions.",
    ),
    "completions": Kind(
        "Completions",
        "Prompts with answers that were written elsewhere, by models or by people.",
        "Then open comparisons of them.",
    ),
    "judgments": Kind(
        "Judgments",
        "Prompts, answers, and which answer was preferred, by whom and how strongly.",
        "Then freeze a snapshot, or compare it with your own annotators' work.",
    ),
}
