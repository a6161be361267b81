"""Which language a text is in, as py3langid guesses; and what becomes of texts that it is not sure of."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sampling.curation.filters.base import Fate, Filter, texts_of
from sampling.curation.parameters import BadValue, Choice, Number, Words
from sampling.intake.records import Record

LOOKED_AT = 1000  # characters: more makes no guess better
CODE = 2, 3  # letters of an ISO 639 code


class Languages(Filter):
    """Short texts leave the guess unsure: "ok" has no letters that tell; "Why is the sky blue?" is 91% English."""

    key = "languages"
    label = "Language"
    what = "Keeps rows in the chosen languages."
    parameters = (
        Words("languages", "Languages", is_needed=True, help="ISO 639 codes with commas between: en, ko, de."),
        Choice(
            "of",
            "Which text",
            default="prompt",
            choices=(("prompt", "the prompt"), ("completions", "completions"), ("whole", "prompt and completions")),
        ),
        Number(
            "sure", "Sure from", default=0.5, low=0, high=1, whole=False, help="Below it, a guess counts as unsure."
        ),
        Choice(
            "unsure",
            "Where it is unsure",
            default="keep",
            choices=(("keep", "keep the row"), ("remove", "remove it")),
            help="Texts of one or two words, emoji, numbers and program code are often unsure.",
        ),
    )

    @classmethod
    def check(cls, told: Mapping[str, Any]) -> None:
        for code in told["languages"]:
            if not (code.isascii() and code.isalpha() and code.islower() and CODE[0] <= len(code) <= CODE[1]):
                raise BadValue(f'"{code}" is no language code; give codes like en, ko, de.', "languages")

    def judge(self, line: int, record: Record) -> Fate:
        text = texts_of(record, self.told["of"])[:LOOKED_AT]
        if not text.strip():
            return record  # no completion, so none in another language
        language, share = _identifier().classify(text)
        if share < self.told["sure"]:
            if self.told["unsure"] == "keep":
                return record
            return f"Its language is not sure: {language} at {share:.0%}."
        if language in self.told["languages"]:
            return record
        return f"Its language is {language} ({share:.0%} sure)."


@lru_cache(maxsize=1)
def _identifier():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # brings numpy: workers and commands only

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
