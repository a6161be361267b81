"""What the check reads of a round: its pairs, prompts and demonstrations, and how long they are in tokens."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, log10
from pathlib import Path
from statistics import median
from typing import Any

from transformers import PreTrainedTokenizerBase

from training.pipeline.chat_templates import conversation_lengths
from training.pipeline.completions import Prompt, key_of, read_prompts
from training.pipeline.conversations import Conversation, read_conversations
from training.pipeline.conversations import left_out as named
from training.pipeline.earlier_candidates import read_earlier
from training.pipeline.left_out import LeftOut, shortened
from training.pipeline.preferences import (
    Messages,
    Pair,
    answered,
    excerpt_of,
    is_too_old,
    left_out_pair,
    read_pairs,
    read_rows,
)
from training.recipe import PairTraining

MOST_BARS = 12  # of a histogram


@dataclass(frozen=True)
class Undecided:
    """A pair that was judged and of which no row was made."""

    left_out: LeftOut
    split: str
    latest: bool  # of the newest snapshot of the schedule


@dataclass(frozen=True)
class KeptOut:
    """What was left out when the round's files were written. ``held_out``: what is, or answers, an eval prompt."""

    pairs: dict[str, list[Pair]]  # held out, by whose judgments
    undecided: dict[str, list[Undecided]]
    prompts: list[LeftOut]  # held out, those of which earlier rounds left candidates among them
    demonstrations: list[LeftOut]  # held out

    def pairs_of(self, section: PairTraining) -> list[LeftOut]:
        """The train pairs that the stage would learn from, were they not held out."""
        pairs = self.pairs[section.judges]
        return [left_out_pair(pair, "held_out") for pair in pairs if not is_too_old(pair, section)]

    def undecided_of(self, section: PairTraining, split: str) -> list[LeftOut]:
        """The pairs of a split that nobody can tell which way to learn, of the snapshots that the stage reads."""
        asked = [each for each in self.undecided[section.judges] if each.latest or section.snapshots == "all"]
        return [each.left_out for each in asked if each.split == split]


@dataclass
class Rows:
    """All that a round's stages will read. ``pairs``: by whose judgments, then by split."""

    tokenizer: PreTrainedTokenizerBase
    pairs: dict[str, dict[str, list[Pair]]]
    prompts_train: list[Prompt]
    prompts_eval: list[Prompt]
    demonstrations: list[Conversation]
    has_demonstrations: bool
    pool: list[Prompt]  # of which earlier rounds left candidates, and which this round has not
    kept_out: "KeptOut"
    _known: dict[str, int] = field(default_factory=dict)  # tokens by conversation: several stages ask the same

    @property
    def count(self) -> int:
        """Rows read: a pair that is in several files counts once."""
        pairs = {(pair.prompt_id, pair.chosen, pair.rejected) for pair in self._every_pair}
        prompts = len(self.prompts_train) + len(self.prompts_eval)
        return len(pairs) + prompts + len(self.demonstrations) + len(self.kept_out.demonstrations)

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

    @cached_property
    def judged_lengths(self) -> list[int]:
        """Tokens of each distinct completion that was judged."""
        return self._tokens_of(self._judged)

    def tokens_of_prompts(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each prompt with the words that ask for an answer."""
        asked = [prompt.messages for prompt in prompts]
        if not asked:
            return []
        rendered = self.tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        return [len(ids) for ids in rendered]

    def lengths(self) -> dict[str, dict[str, Any]]:
        """Statistics of the prompts, of the distinct completions, and of both together."""
        sides = [answered(pair.prompt, side) for pair in self._every_pair for side in (pair.chosen, pair.rejected)]
        whole = {repr(each): each for each in [*sides, *(each.messages for each in self.demonstrations)]}
        measured = {
            "prompt": self.prompt_lengths,
            "completion": self._tokens_of(
                self._judged | {each.messages[-1]["content"] for each in self.demonstrations}
            ),
            "conversation": self.lengths_of(list(whole.values())),
        }
        return {name: statistics(lengths) for name, lengths in measured.items() if lengths}

    def _tokens_of(self, texts: Iterable[str]) -> list[int]:
        """Of each distinct text that says something."""
        distinct = sorted({text.strip() for text in texts} - {""})
        tokens = self.tokenizer(distinct, add_special_tokens=False)["input_ids"] if distinct else []
        return [len(ids) for ids in tokens]

    @property
    def _judged(self) -> set[str]:
        return {side for pair in self._every_pair for side in (pair.chosen, pair.rejected)}

    @property
    def _every_pair(self) -> list[Pair]:
        return [pair for of_judges in self.pairs.values() for of_split in of_judges.values() for pair in of_split]


def read(inputs: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> Rows:
    """Read the files that the check was told of; raises `RunDirError` naming a line that is wrong."""
    given, pool = inputs.get("demonstrations"), inputs.get("pool")
    prompts_train = read_prompts(inputs["prompts_train"])
    return Rows(
        tokenizer=tokenizer,
        pairs={
            judges: {split: read_pairs(Path(folder) / f"{split}.jsonl") for split in ("train", "eval")}
            for judges, folder in inputs["pairs"].items()
        },
        prompts_train=prompts_train,
        prompts_eval=read_prompts(inputs["prompts_eval"]),
        demonstrations=read_conversations(given) if given else [],
        has_demonstrations=bool(given),
        pool=_only_earlier(Path(pool), prompts_train) if pool else [],
        kept_out=_kept_out(inputs),
    )


def _only_earlier(pool: Path, prompts: list[Prompt]) -> list[Prompt]:
    """The prompts of earlier rounds' candidates that are not this round's."""
    ids = {prompt.id for prompt in prompts}
    found = {each.prompt.id: each.prompt for each in read_earlier(map(str, sorted(pool.glob("*.jsonl"))), prompts)}
    return [prompt for prompt in found.values() if prompt.id not in ids]


def _kept_out(inputs: dict[str, Any]) -> KeptOut:
    folders = {judges: Path(folder) for judges, folder in inputs["pairs"].items()}
    shown = inputs.get("held_out_demonstrations")
    return KeptOut(
        pairs={judges: read_pairs(folder / "held_out.jsonl") for judges, folder in folders.items()},
        undecided={judges: _read_undecided(folder / "undecided.jsonl") for judges, folder in folders.items()},
        prompts=_held_out_prompts(inputs["held_out_prompts"], inputs.get("held_out_pool")),
        demonstrations=[named(each, "held_out") for each in read_conversations(shown)] if shown else [],
    )


def _read_undecided(path: Path) -> list[Undecided]:
    return [
        Undecided(
            left_out=LeftOut(
                reason=row["reason"],
                prompt_id=row["prompt_id"],
                line=line,
                excerpt=excerpt_of(row["prompt"], *row["texts"]),
            ),
            split=row["split"],
            latest=row["latest"],
        )
        for line, row in read_rows(path)
    ]


def _held_out_prompts(of_round: str, of_pool: str | None) -> list[LeftOut]:
    """Each prompt once: those of the round, and those that only earlier rounds' candidates answer."""
    prompts = {key_of(prompt.messages): prompt for prompt in read_prompts(of_round)}
    earlier = [row for _, row in read_rows(of_pool)] if of_pool else []
    pooled = Counter(key_of(row["messages"]) for row in earlier)
    prompts = {key_of(row["messages"]): Prompt(str(row["prompt_id"]), row["messages"]) for row in earlier} | prompts
    return [
        LeftOut(
            reason="held_out",
            prompt_id=prompt.id,
            excerpt=shortened(prompt.messages[-1]["content"])
            + (f" ({pooled[key]} candidates of earlier rounds)" if pooled[key] else ""),
        )
        for key, prompt in prompts.items()
    ]


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
