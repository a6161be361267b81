"""Frozen comparisons made by hand, with ids of their own: no database."""

from annotation.datasets.frozen import FrozenCompletion, FrozenJudgment, FrozenPrompt, JudgedComparison

JUNE = 1_780_315_200_000_000  # 2026-06-01 12:00:00 UTC, in microseconds
SYSTEM = {"role": "system", "content": "Be brief."}


def question(text: str) -> list[dict[str, str]]:
    return [SYSTEM, {"role": "user", "content": text}]


def judgment(pk: int, annotator: int, ranking: list[list[int]], strengths: list[str] | None = None, **more):
    values = {
        "pk": pk, "comparison_id": 1, "annotator_id": annotator, "kind": "person", "is_decision": False,
        "ranking": ranking, "strengths": ["better"] * (len(ranking) - 1) if strengths is None else strengths,
        "marks": {}, "all_bad": False, "rationale": "", "source": {}, "guidelines_version_id": None,
        "microseconds": JUNE + pk * 1_000_000,
    }  # fmt: skip
    return FrozenJudgment(**values | more)


def comparison(
    texts: dict[int, str],
    judgments: list[FrozenJudgment],
    *,
    pk: int = 1,
    prompt: int = 7,
    split: str = "train",
    messages: list[dict[str, str]] | None = None,
    edits: dict[int, int] | None = None,
    cut: tuple[int, ...] = (),
    metadata: dict | None = None,
) -> JudgedComparison:
    """``texts`` by completion id; ``edits``: edit -> what it is an edit of; ``cut``: those that were cut off."""
    edits = edits or {}
    completions = {
        key: FrozenCompletion(
            pk=key, text=text, finish_reason="length" if key in cut else "stop",
            origin="person" if key in edits else "model", edit_of_id=edits.get(key), model_version_id=None,
            model="" if key in edits else f"tiny-{key}",
        )
        for key, text in texts.items()
    }  # fmt: skip
    asked = FrozenPrompt(prompt, split, messages or question("What is jam?"), metadata or {})
    return JudgedComparison(pk, asked, completions, judgments)


def three_ways() -> JudgedComparison:
    """Alice: 11 far above 12, 12 slightly above 13. Bob: 11 = 12, both above 13. Charlie: 12 above 11 above 13."""
    return comparison(
        {11: "Fruit & sugar.\u2028Boiled.", 12: "Ein Stau\n\nzum Beispiel", 13: '"Jam"\\ 🍓'},
        [
            judgment(1, 101, [[11], [12], [13]], ["significantly_better", "slightly_better"], rationale="Ask\nAl."),
            judgment(2, 102, [[11, 12], [13]], ["better"]),
            judgment(3, 103, [[12], [11], [13]], ["negligibly_better", "better"], kind="simulated"),
        ],
        metadata={"language": "de", "category": "food"},
    )


def held_out() -> JudgedComparison:
    """Two completions, an eval prompt of two user turns, two annotators who disagree, and marks."""
    turns = [*question("Is jam sweet?"), {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Why?"}]
    safe = {"21": {"safety": "safe", "aspects": {"on": 4}, "defects": ["too_long"]}}
    return comparison(
        {21: "Sugar.", 22: ""},
        [
            judgment(4, 101, [[21], [22]], marks=safe, comparison_id=2),
            judgment(5, 102, [[21, 22]], [], all_bad=True, comparison_id=2),
        ],
        pk=2, prompt=8, split="eval", messages=turns, cut=(22,),
    )  # fmt: skip


def decided() -> JudgedComparison:
    """An annotator's better answer, and a reviewer's decision that overrules the annotator."""
    return comparison(
        {31: "No.", 32: "Yes.", 33: "Yes, it is."},
        [
            judgment(6, 101, [[33], [31], [32]], comparison_id=3),
            judgment(7, 104, [[32], [31]], ["slightly_better"], is_decision=True, comparison_id=3),
        ],
        pk=3, prompt=9, edits={33: 31},
    )  # fmt: skip


ALL = (three_ways, held_out, decided)
MARKS = {"safety": True, "aspects": ["on"], "defects": True}
