"""What the check reads of a round: its pairs, prompts and demonstrations, and how long they are in tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, log10
from pathlib import Path
from statistics import median
from typing import Any

from transformers import PreTrainedTokenizerBase

from training.pipeline.chat_templates import conversation_lengths
from training.pipeline.completions import Prompt, read_prompts
from training.pipeline.conversations import Conversation, read_conversations
from training.pipeline.preferences import Messages, Pair, answered, read_pairs

MOST_BARS = 12  # of a histogram


@dataclass
class Rows:
    """All that a round's stages will read. ``pairs``: by whose judgments, then by split."""

    tokenizer: PreTrainedTokenizerBase
    pairs: dict[str, dict[str, list[Pair]]]
    prompts_train: list[Prompt]
    prompts_eval: list[Prompt]
    demonstrations: list[Conversation]
    held_out_demonstrations: list[Conversation]
    has_demonstrations: bool
    _known: dict[str, int] = field(default_factory=dict)  # tokens by conversation: several stages ask the same

    @property
    def count(self) -> int:
        """Rows read: a pair that is in several files counts once."""
        pairs = {(pair.prompt_id, pair.chosen, pair.rejected) for pair in self._every_pair}
        prompts = len(self.prompts_train) + len(self.prompts_eval)
        return len(pairs) + prompts + len(self.demonstrations) + len(self.held_out_demonstrations)

    def lengths_of(self, conversations: Sequence[Messages]) -> list[int]:
        """Tokens of each conversation under the policy's template, each counted once."""
        keys = [repr(each) for each in conversations]
        new = {key: each for key, each in zip(keys, conversations, strict=True) if key not in self._known}
        self._known |= zip(new, conversation_lengths(self.tokenizer, list(new.values())), strict=True)
        return [self._known[key] for key in keys]

    @cached_property
    def prompt_lengths(self) -> list[int]:
        """Tokens of each train prompt as the policy reads it, up to where it begins to answer."""
        return self.tokens_of_prompts(self.prompts_train)

    def tokens_of_prompts(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each prompt with the words that ask for an answer."""
        asked = [prompt.messages for prompt in prompts]
        if not asked:
            return []
        rendered = self.tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        return [len(ids) for ids in rendered]

    def lengths(self) -> dict[str, dict[str, Any]]:
        """Statistics of the prompts, of the distinct completions, and of both together."""
        texts = {side.strip() for pair in self._every_pair for side in (pair.chosen, pair.rejected)}
        texts |= {each.messages[-1]["content"].strip() for each in self.demonstrations}
        texts = sorted(texts - {""})
        tokens = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        sides = [answered(pair.prompt, side) for pair in self._every_pair for side in (pair.chosen, pair.rejected)]
        whole = {repr(each): each for each in [*sides, *(each.messages for each in self.demonstrations)]}
        measured = {
            "prompt": self.prompt_lengths,
            "completion": [len(ids) for ids in tokens],
            "conversation": self.lengths_of(list(whole.values())),
        }
        return {name: statistics(lengths) for name, lengths in measured.items() if lengths}

    @property
    def _every_pair(self) -> list[Pair]:
        return [pair for of_judges in self.pairs.values() for of_split in of_judges.values() for pair in of_split]


def read(inputs: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> Rows:
    """Read the files that the check was told of; raises `RunDirError` naming a line that is wrong."""
    given, held_out = inputs.get("demonstrations"), inputs.get("held_out_demonstrations")
    return Rows(
        tokenizer=tokenizer,
        pairs={
            judges: {split: read_pairs(Path(folder) / f"{split}.jsonl") for split in ("train", "eval")}
            for judges, folder in inputs["pairs"].items()
        },
        prompts_train=read_prompts(inputs["prompts_train"]),
        prompts_eval=read_prompts(inputs["prompts_eval"]),
        demonstrations=read_conversations(given) if given else [],
        held_out_demonstrations=read_conversations(held_out) if held_out else [],
        has_demonstrations=bool(given),
    )


def statistics(lengths: Sequence[int]) -> dict[str, Any]:
    """Of at least one length in tokens."""
    ordered = sorted(lengths)
    return {
        "rows": len(ordered),
        "min": ordered[0],
        "median": median(ordered),
        "p95": ordered[ceil(0.95 * len(ordered)) - 1],
        "max": ordered[-1],
        "histogram": histogram(ordered),
    }


def histogram(lengths: Sequence[int]) -> list[list[int]]:
    """[tokens, rows] of bars of one round width: how many rows are longer than the bar before and at most so long."""
    width = _round_width(max(lengths))
    bars = [[upper, 0] for upper in range(width, max(lengths) + width, width)]
    for length in lengths:
        bars[max(0, ceil(length / width) - 1)][1] += 1
    return bars


def _round_width(longest: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50 ... of which `MOST_BARS` reach ``longest``."""
    least = max(1.0, longest / MOST_BARS)
    power = 10 ** int(log10(least))
    return int(next(step * power for step in (1, 2, 5, 10) if step * power >= least))
