"""Models built in memory, small enough for tests: a byte-level tokenizer and a two-layer random Llama (about 60 KB)."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

# ChatML, with the markers by which TRL finds the assistant's tokens.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['role'] == 'assistant' %}"
    # In quotes: Jinja as transformers sets it up drops a bare line break after a block.
    "{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] }}<|im_end|>\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and three special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
    )


def tiny_config(tokenizer: PreTrainedTokenizerFast, **changes) -> LlamaConfig:
    """Two layers of width 16; vLLM takes no head narrower than 32, so it needs ``hidden_size=64``."""
    values = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return LlamaConfig(**values | changes)


def save_tiny_policy(path: Path | str, *, seed: int = 17, **changes) -> Path:
    """Save a random policy with its tokenizer as `from_pretrained` reads them; the same one for the same seed."""
    return _save(LlamaForCausalLM, path, seed=seed, **changes)


def save_tiny_reward_model(path: Path | str, *, seed: int = 17) -> Path:
    """Save a random reward model with its tokenizer."""
    return _save(LlamaForSequenceClassification, path, seed=seed, num_labels=1)


def _save(architecture: type, path: Path | str, *, seed: int, **changes) -> Path:
    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng():  # a test that builds a model changes no other test's random numbers
        torch.manual_seed(seed)
        model = architecture(tiny_config(tokenizer, **changes))
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return Path(path)
