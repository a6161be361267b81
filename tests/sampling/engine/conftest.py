"""A tokenizer with a chat template, small enough to be made for a test, and a run directory that uses it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

# Refuses what some real templates refuse: anything but user and assistant turns.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System messages are not supported.') }}{% endif %}"
    "{{ '<' + message['role'] + '>' + message['content'] }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory) -> Path:
    """A byte-level tokenizer: one token for each byte, so that lengths are worked out by counting letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<end>": 0} | {letter: number for number, letter in enumerate(alphabet, start=1)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", pad_token="<end>")
    tokenizer.chat_template = CHAT_TEMPLATE
    directory = tmp_path_factory.mktemp("tokenizer") / "policy"
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def make_run(tmp_path, tokenizer_dir) -> Callable[..., Path]:
    """``make_run("Hello", n=2)`` writes what a worker would write, prompts p0, p1 and so on."""

    def make(*prompts: str | list[dict], **stage: object) -> Path:
        run_dir = tmp_path / "run"
        run_dir.mkdir(exist_ok=True)
        messages = [[{"role": "user", "content": text}] if isinstance(text, str) else text for text in prompts]
        rows = [{"id": f"p{number}", "messages": each} for number, each in enumerate(messages)]
        (run_dir / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        told = {"model": str(tokenizer_dir), "prompts": "prompts.jsonl", "n": 2, "seed": 17}
        told |= {"max_tokens": 16, "max_model_len": 64} | stage
        (run_dir / "stage.json").write_text(json.dumps(told))
        return run_dir

    return make
