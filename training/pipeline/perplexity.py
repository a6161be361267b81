"""Perplexity of a policy on plain text: how surprised it is, a token at a time, by prose that nobody trained it on.

Overlapping windows, so that hardly a token is predicted without something before it. Every token after the text's
first is counted once, in the first window that holds it. Comparable only between policies with one tokenizer.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sampling.engine.run_dir import RunDirError

BUNDLED_TEXT = Path(__file__).resolve().parent.parent / "texts" / "plain_prose.txt"


@dataclass(frozen=True)
class Window:
    """Tokens start to end of the text, of which those from ``counts_from`` on are counted here."""

    start: int
    end: int
    counts_from: int


def text_of(path: str) -> str:
    """The held-out text: the file's, or the one that comes with the project."""
    source = Path(path) if path else BUNDLED_TEXT
    try:
        text = source.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise RunDirError(
            f'The text for perplexity, {source}, cannot be read ({error.strerror}). Correct "text" in the recipe\'s '
            "harness section, or leave it out to use the one that comes with the project."
        ) from None
    except UnicodeDecodeError:
        raise RunDirError(f"The text for perplexity, {source}, is not UTF-8. Save it as plain UTF-8 text.") from None
    if not text:
        raise RunDirError(f"The text for perplexity, {source}, is empty. Choose another one.")
    return text


def tokens_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """With the token that the tokenizer itself puts before every text, if it does."""
    tokens = tokenizer(text, verbose=False)["input_ids"]  # quiet: it is longer than the model reads at once
    if len(tokens) < 2:
        raise RunDirError("The text for perplexity is a single token, which nothing comes before. Choose a longer one.")
    return tokens


def windows(tokens: int, window: int) -> list[Window]:
    """All as long as ``window``, each half of it after the one before; the last one ends with the text."""
    found = [Window(0, min(window, tokens), 1)]
    while (counted := found[-1].end) < tokens:
        end = min(counted + window // 2, tokens)
        found.append(Window(end - window, end, counted))
    return found


def perplexity(
    model: PreTrainedModel,
    tokens: list[int],
    *,
    window: int,
    micro_batch: int,
    on_progress: Callable[[float], None] = lambda share: None,
) -> float:
    """exp of the mean negative log-likelihood a token, over all tokens but the first; at least two tokens."""
    laid = windows(len(tokens), min(window, context_of(model) or window))
    total = 0.0
    for done, batch in _batches(laid, micro_batch):
        total += _nll(model, tokens, batch)
        on_progress(done / len(laid))
    return math.exp(total / (len(tokens) - 1))


def context_of(model: PreTrainedModel) -> int | None:
    """The most tokens that the model reads, where its config says so."""
    return getattr(model.config, "max_position_embeddings", None)


def _batches(laid: list[Window], size: int) -> Iterator[tuple[int, list[Window]]]:
    """How many windows are done after the batch, and the batch. Windows of one length need no padding."""
    for start in range(0, len(laid), size):
        yield min(start + size, len(laid)), laid[start : start + size]


@torch.inference_mode()
def _nll(model: PreTrainedModel, tokens: list[int], batch: list[Window]) -> float:
    """The sum over the counted tokens of the batch, in 64 bits."""
    ids = torch.tensor([tokens[each.start : each.end] for each in batch], device=model.device)  # (batch, window)
    # Only the positions whose next token is counted: the head is a small model's largest matrix.
    kept = max(each.end - each.counts_from for each in batch)
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=kept + 1).logits[:, :-1]  # (batch, kept, vocabulary)
    total = 0.0
    for row, each in enumerate(batch):
        counted = each.end - each.counts_from
        # One row at a time: in 32 bits a whole batch of them can be gigabytes.
        losses = F.cross_entropy(logits[row, -counted:].float(), ids[row, -counted:], reduction="none")
        total += losses.double().sum().item()
    return total
