"""Preference pairs as token ids, for a loss of log-probabilities or of rewards; and those that tokens make useless.

What a loss cannot use is left out and counted, like what `preferences.select` leaves out: a pair of which a completion
has no token left ("empty"), and two texts that are the same tokens ("identical"). A prompt with one completion has no
pair, and comes no further than the file.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from sampling.engine.run_dir import RunDirError
from training.pipeline.grouped.rankings import Ids, TokenPair, longest_shared_start, without_padding
from training.pipeline.pair_tokens import PairTokens
from training.pipeline.preferences import MARGINS, Selection, left_out_pair

SIDES = ("prompt", "chosen", "rejected")


@dataclass(frozen=True)
class Tokenised:
    """The pairs that are trained on, as tokens and as they came, in one order."""

    tokens: list[TokenPair]
    selection: Selection


def for_log_probs(selection: Selection, tokenizer: PreTrainedTokenizerBase, *, mask_end_tokens: bool) -> Tokenised:
    """A prompt up to where the answer begins, and what the loss counts of each completion."""
    reader = PairTokens(tokenizer, mask_end_tokens=mask_end_tokens)
    rows = [reader.of(pair) for pair in selection.pairs]
    names = ("prompt_ids", "chosen_ids", "rejected_ids")
    return _usable(selection, [TokenPair(*(tuple(row[name]) for name in names)) for row in rows])


def for_rewards(selection: Selection, tokenizer: PreTrainedTokenizerBase, *, margins: str) -> Tokenised:
    """Whole conversations, end tokens and all, as a reward model reads them when it scores; the prompt is what all
    conversations of a prompt begin with. ``margins`` is the recipe's (Llama 2, arXiv 2307.09288, table 27).
    """
    sides = [
        tuple(tuple(ids) for ids in tokenizer.apply_chat_template(list(pair.conversations), return_dict=False))
        for pair in selection.pairs
    ]
    by_prompt: dict[str, list[int]] = defaultdict(list)
    for i, pair in enumerate(selection.pairs):
        by_prompt[repr(pair.prompt)].append(i)
    # Of each text something is left to be read in its completion, where the end token is the pad token too.
    read = [[without_padding(side, tokenizer.pad_token_id) for side in both] for both in sides]
    shared = {i: longest_shared_start([side for j in of for side in read[j]]) for of in by_prompt.values() for i in of}
    return _usable(
        selection,
        [
            TokenPair(
                chosen[: shared[i]], chosen[shared[i] :], rejected[shared[i] :], margin_of(pair.strength, margins)
            )
            for i, (pair, (chosen, rejected)) in enumerate(zip(selection.pairs, sides, strict=True))
        ],
    )


def margin_of(strength: str, margins: str) -> float:
    """What the rewards of a pair are asked to differ by."""
    return 0.0 if margins == "none" else MARGINS[margins][strength]


def weigh_by_prompt(pairs: Sequence[TokenPair]) -> list[TokenPair]:
    """All pairs of a prompt together count as one (InstructGPT, arXiv 2203.02155, eq. 1)."""
    of_prompt = Counter(pair.prompt for pair in pairs)
    return [replace(pair, weight=1 / of_prompt[pair.prompt]) for pair in pairs]


def _usable(selection: Selection, tokens: Sequence[TokenPair]) -> Tokenised:
    """Without the pairs of which tokens leave nothing to learn: two completions that are one, or one that is none."""
    kept, left_out = [], []
    known: dict[Ids, Ids] = {}  # a completion is in many pairs, a prompt in all of its: each is held once
    tokens = [
        replace(pair, **{name: known.setdefault(getattr(pair, name), getattr(pair, name)) for name in SIDES})
        for pair in tokens
    ]
    for i, (pair, of_pair) in enumerate(zip(selection.pairs, tokens, strict=True)):
        if not of_pair.prompt:
            raise RunDirError(
                "The chat template gives a prompt no token, so nothing comes before an answer. Use another template."
            )
        if not of_pair.chosen or not of_pair.rejected:
            left_out.append(left_out_pair(pair, "empty"))
        elif of_pair.chosen == of_pair.rejected:
            left_out.append(left_out_pair(pair, "identical"))
        else:
            kept.append(i)
    lengths = [selection.lengths[i] for i in kept]
    chosen = Selection([selection.pairs[i] for i in kept], lengths, [*selection.left_out, *left_out])
    return Tokenised([tokens[i] for i in kept], chosen)
