"""A preference pair as token ids: where the completions start, and where they end.

No model and no trainer here; the tokenizer's chat template is asked, and any template will do.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from training.pipeline.preferences import Messages, Pair, answered


class PairTokens:
    """Turns pairs into token ids under a tokenizer's chat template.

    With ``mask_end_tokens`` what the template writes before and after an answer counts in no term of the loss, as in
    Llama 3 (arXiv 2407.21783, section 4.1.4): such tokens are in both completions, and a loss that raises one and
    lowers the other pulls at them from two sides. The header becomes part of the prompt, and the end is left off the
    row: nothing stands behind it that could see it, so that leaving it off is the same as masking it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, mask_end_tokens: bool = False) -> None:
        self.tokenizer = tokenizer
        self.mask_end_tokens = mask_end_tokens
        asked = [{"role": "user", "content": "a"}]
        one, other = (self._ids(answered(asked, content)) for content in "xy")
        end = _shared(one[::-1], other[::-1])
        self.end = one[len(one) - end :]  # what the template writes after an answer: the end token, often a newline
        self.header = one[len(self._ids(asked)) : _shared(one, other)]  # what it writes before one

    def of(self, pair: Pair) -> dict[str, list[int]]:
        """The prompt and both completions.

        A completion that max_tokens cut off is left open: the end that the template gives it was never written. Most
        rejected completions of a short limit are such, and a policy that is pushed away from ending them soon ends
        nothing any more.
        """
        whole = [self._ids(each) for each in pair.conversations]
        start = self._start(pair.prompt, whole)
        chosen, rejected = (
            self._without_end(ids[start:]) if cut_off or self.mask_end_tokens else ids[start:]
            for ids, cut_off in zip(whole, (pair.chosen_cut_off, pair.rejected_cut_off), strict=True)
        )
        return {"prompt_ids": whole[0][:start], "chosen_ids": chosen, "rejected_ids": rejected}

    def _start(self, prompt: Messages, whole: Sequence[list[int]]) -> int:
        """Where the completions begin. A template may write the start of an answer otherwise than the end of a prompt:
        what they share is the prompt."""
        asked = self._ids(prompt, add_generation_prompt=True)
        start = min(_shared(asked, ids) for ids in whole)
        if self.mask_end_tokens:
            opened = self._ids(prompt) + self.header
            if all(ids[: len(opened)] == opened for ids in whole):
                start = max(start, len(opened))
        return start

    def _without_end(self, completion: list[int]) -> list[int]:
        end = _shared(completion[::-1], self.end[::-1])
        return completion[: len(completion) - end]

    def _ids(self, messages: Messages, **how) -> list[int]:
        return self.tokenizer.apply_chat_template(messages, return_dict=False, **how)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many items two sequences share from their start."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
