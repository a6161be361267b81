"""A policy's tokenizer and what its chat template can do: where the assistant's tokens are, and where a turn ends.

No model is loaded here, so the check of the data can ask before anything is spent.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from sampling.engine.run_dir import RunDirError
from training.pipeline.preferences import Messages

ASKED_AND_ANSWERED = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
ADD_MARKERS = (
    "Put {% generation %} and {% endgeneration %} around the assistant's content and its end token in the chat "
    "template, choose a policy whose template has them, or leave [demonstrations] out of the recipe."
)


@dataclass(frozen=True)
class ChatTemplate:
    """What was found of a tokenizer's template, as the check's result tells it."""

    chat_template: bool
    assistant_mask: bool  # whether the assistant's tokens of a conversation can be told from the others
    end_token: str | None  # what ends a turn of the assistant, and with it a completion
    ends_with_end_token: bool


def check_model_is_there(path: str) -> None:
    """Refuse a directory that does not exist, before it is taken for a hub id."""
    if Path(path).is_absolute() and not (Path(path) / "config.json").is_file():
        raise RunDirError(
            f"{path} holds no model (config.json is missing). Choose another model, or run the stage that makes it."
        )


def load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    """The policy's tokenizer; it must have a chat template, and is given a padding token if it has none."""
    check_model_is_there(path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    if not tokenizer.chat_template:
        raise RunDirError(f"The tokenizer of {path} has no chat template. Add one, or choose a chat model.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def conversation_lengths(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Messages], *, chat_template: str | None = None
) -> list[int]:
    """Tokens of each conversation under the chat template, or another one than the tokenizer's own."""
    if not conversations:
        return []
    rendered = tokenizer.apply_chat_template(list(conversations), chat_template=chat_template, return_dict=False)
    return [len(ids) for ids in rendered]


def described(tokenizer: PreTrainedTokenizerBase, policy: str) -> ChatTemplate:
    """What the template of the tokenizer of ``policy`` can do."""
    last = _last_token(tokenizer)
    is_end = last is not None and last in _end_tokens(tokenizer, policy)
    return ChatTemplate(
        chat_template=True,
        assistant_mask=mask_problem(tokenizer) is None,
        end_token=tokenizer.convert_ids_to_tokens(last) if is_end else tokenizer.eos_token,
        ends_with_end_token=is_end,
    )


def mask_problem(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Why the assistant's tokens, the end of a turn among them, cannot be learned alone; None when they can."""
    from trl.chat_template_utils import is_chat_template_stop_token_trained

    try:
        template = training_template(tokenizer)
    except RunDirError as error:
        return str(error)
    if is_chat_template_stop_token_trained(tokenizer, chat_template=template):
        return None
    return (
        "The chat template's {% generation %} markers leave out the token that ends the assistant's turn, so a policy "
        f"would never learn to stop. {ADD_MARKERS}"
    )


def training_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The template that SFT on the assistant's tokens uses: None for the tokenizer's own, where that has the markers.

    TRL knows templates with markers for many models' own; for any other this raises `RunDirError` with the remedy.
    """
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    if has_generation_markers(tokenizer.chat_template):
        return None
    try:
        return get_training_chat_template(tokenizer)
    except ValueError:
        raise RunDirError(
            "The policy's chat template does not say which tokens are the assistant's, and TRL knows no version of it "
            f"that does; SFT on demonstrations learns from these alone. {ADD_MARKERS}"
        ) from None


def _last_token(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The id of the last token of a conversation that is not white space."""
    tokens = tokenizer.apply_chat_template(ASKED_AND_ANSWERED, return_dict=False)
    return next((token for token in reversed(tokens) if tokenizer.decode([token]).strip()), None)


def _end_tokens(tokenizer: PreTrainedTokenizerBase, policy: str) -> set[int]:
    """The tokens at which sampling stops: the tokenizer's, and those of the policy's generation_config.json."""
    try:
        told: dict[str, Any] = json.loads((Path(policy) / "generation_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = {}
    more = told.get("eos_token_id")
    listed = more if isinstance(more, list) else [more]
    return {token for token in [tokenizer.eos_token_id, *listed] if token is not None}
