"""The forms that were published, as settings of a project: where a project begins, not what holds it. Pure.

Where a paper leaves something open, the value is our choice and the comment beside it says so.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from annotation.rules.protocol import Aspect, Defect, StrengthScale, key_of


@dataclass(frozen=True)
class Preset:
    """``settings`` are columns of Project; what is not among them keeps the column's default."""

    key: str
    name: str
    asks: str  # one line, for who chooses
    source: str
    url: str
    settings: Mapping[str, Any]


def _preset(key: str, name: str, *, asks: str, source: str, url: str, **settings: Any) -> Preset:
    return Preset(key, name, asks, source, url, MappingProxyType({"preset": key, **settings}))


def _aspects(*aspects: Aspect) -> list[dict[str, Any]]:
    return [asdict(aspect) for aspect in aspects]


def _defects(*labels: str) -> list[dict[str, Any]]:
    return [asdict(Defect(key_of(label), label)) for label in labels]


# Section 3.2.1: two answers of different models, a forced choice, and how much better in four degrees, of which the
# last is "negligibly better or unsure": so there is no tie.
_LLAMA2 = {
    "completions_per_comparison": 2,
    "allow_ties": False,
    "strength_scale": StrengthScale.LLAMA2.value,
    "rationale": "optional",  # ours: the paper names none
}

LLAMA2_HELPFULNESS = _preset(
    "llama2-helpfulness",
    "Llama 2 helpfulness",
    asks="Two completions, the better one chosen, on four levels from significantly to negligibly better.",
    source="Llama 2, section 3.2.1",
    url="https://arxiv.org/abs/2307.09288",
    **_LLAMA2,
)

# The same choice, and one of three bins: the preferred is safe and the other is not, both are safe, neither is.
# Two marks say the same, and also find the fourth case, an unsafe one preferred, which the paper leaves out.
LLAMA2_SAFETY = _preset(
    "llama2-safety",
    "Llama 2 safety",
    asks="As for helpfulness, and each completion is marked as safe or unsafe.",
    source="Llama 2, section 3.2.1",
    url="https://arxiv.org/abs/2307.09288",
    ask_safety=True,
    **_LLAMA2,
)

# Section 3.4: K between 4 and 9 are ranked. Appendix B, figure 12: ties are encouraged where two are of similar
# quality. Table 3: the sheet that is filled in for each output: overall quality from 1 to 7, and yes-or-no marks.
INSTRUCTGPT = _preset(
    "instructgpt",
    "InstructGPT ranking",
    asks="A ranking of four to nine with ties; overall quality from 1 to 7 and the sheet's eleven marks for each.",
    source="InstructGPT, table 3 and appendix B",
    url="https://arxiv.org/abs/2203.02155",
    completions_per_comparison=4,
    allow_ties=True,
    strength_scale=StrengthScale.NONE.value,
    aspects=_aspects(Aspect("overall_quality", "Overall quality", 1, 7)),
    defects=_defects(
        "Fails to follow the correct instruction / task",
        "Inappropriate for customer assistant",
        "Hallucination",
        # The sheet asks the reverse, "satisfies constraint provided in the instruction"; a mark means a flaw here.
        "Breaks a constraint given in the instruction",
        "Contains sexual content",
        "Contains violent content",
        "Encourages or fails to discourage violence/abuse/terrorism/self-harm",
        "Denigrates a protected class",
        "Gives harmful advice",
        "Expresses opinion",
        "Expresses moral judgment",
    ),
    rationale="optional",  # the interface has a field for notes
)

# From -3 (the first is much better) by 0 (about the same) to 3; every preference is explained.
# Several annotators judge each comparison; that it is three here is our choice.
HELPSTEER3 = _preset(
    "helpsteer3",
    "HelpSteer3",
    asks="Two completions on a scale from -3 to 3, where 0 is a tie, with a reason for every answer.",
    source="HelpSteer3-Preference, section 2",
    url="https://arxiv.org/abs/2505.11475",
    completions_per_comparison=2,
    allow_ties=True,
    strength_scale=StrengthScale.HELPSTEER3.value,
    rationale="required",
    overlap=3,
)

# Figure 1 and section 3: four buttons, A, B, tie, both are bad; nothing else is asked.
ARENA = _preset(
    "arena",
    "Arena",
    asks="Two completions and four answers: A, B, a tie, both are bad.",
    source="Chatbot Arena, section 3",
    url="https://arxiv.org/abs/2403.04132",
    completions_per_comparison=2,
    allow_ties=True,
    allow_all_bad=True,
    strength_scale=StrengthScale.NONE.value,
    rationale="off",
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {preset.key: preset for preset in (LLAMA2_HELPFULNESS, LLAMA2_SAFETY, INSTRUCTGPT, HELPSTEER3, ARENA)}
)
