"""Where the completions of a pair start and end, under templates of several kinds."""

import pytest

from tests.tiny_models import tiny_tokenizer
from tests.training.pipeline.runs import pair, write_lines
from training.pipeline.pair_tokens import PairTokens
from training.pipeline.preferences import read_pairs

LLAMA_2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}<|im_end|>{% endif %}{% endfor %}"
)
# The prompt is rendered without the header of the answer, whether one asks for it or not.
NO_GENERATION_PROMPT = "{% for m in messages %}<|im_start|>{{ m['role'] }}: {{ m['content'] }}<|im_end|>\n{% endfor %}"
NO_END = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}"


@pytest.fixture
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture
def read(tmp_path):
    def one(**changes):
        (each,) = read_pairs(write_lines(tmp_path / "pairs.jsonl", [pair(1, **changes)]))
        return each

    return one


def texts(tokenizer, ids):
    return [tokenizer.decode(ids[f"{part}_ids"]) for part in ("prompt", "chosen", "rejected")]


def test_a_completion_that_was_cut_off_is_left_open_and_a_finished_one_is_ended(tokenizer, read):
    row = read(chosen="yes.", rejected="no and", chosen_finish_reason="stop", rejected_finish_reason="length")
    prompt, chosen, rejected = texts(tokenizer, PairTokens(tokenizer).of(row))
    assert prompt == "<|im_start|>user\nQuestion 1?<|im_end|>\n<|im_start|>assistant\n"
    assert chosen == "yes.<|im_end|>\n"
    assert rejected == "no and"


def test_without_a_finish_reason_a_completion_is_taken_for_finished(tokenizer, read):
    assert texts(tokenizer, PairTokens(tokenizer).of(read()))[2] == "no no no<|im_end|>\n"


def test_masked_ends_are_left_off_both_completions_with_what_the_template_writes_after_them(tokenizer, read):
    ids = PairTokens(tokenizer, mask_end_tokens=True).of(read())
    assert texts(tokenizer, ids)[1:] == ["yes yes yes", "no no no"]


def test_an_end_token_that_the_text_itself_holds_is_no_end(tokenizer, read):
    ids = PairTokens(tokenizer, mask_end_tokens=True).of(read(chosen="a<|im_end|>b"))
    assert texts(tokenizer, ids)[1] == "a<|im_end|>b"


def test_a_header_that_the_prompt_lacks_counts_as_part_of_it_when_it_is_masked(tokenizer, read):
    tokenizer.chat_template = NO_GENERATION_PROMPT
    plain = texts(tokenizer, PairTokens(tokenizer).of(read()))
    assert plain[1] == "<|im_start|>assistant: yes yes yes<|im_end|>\n"
    masked = texts(tokenizer, PairTokens(tokenizer, mask_end_tokens=True).of(read()))
    assert masked[0].endswith("<|im_start|>assistant: ")
    assert masked[1:] == ["yes yes yes", "no no no"]


def test_what_both_answers_begin_with_is_no_header(tokenizer, read):
    ids = PairTokens(tokenizer, mask_end_tokens=True).of(read(chosen="The one", rejected="The other"))
    assert texts(tokenizer, ids)[1:] == ["The one", "The other"]


def test_a_template_without_a_newline_after_the_end_token(tokenizer, read):
    tokenizer.chat_template = LLAMA_2
    prompt, chosen, _ = texts(tokenizer, PairTokens(tokenizer).of(read()))
    assert (prompt, chosen) == ("[INST] Question 1? [/INST]", " yes yes yes<|im_end|>")
    assert texts(tokenizer, PairTokens(tokenizer, mask_end_tokens=True).of(read()))[1] == "yes yes yes"


def test_a_template_without_any_end_has_none_to_mask(tokenizer, read):
    tokenizer.chat_template = NO_END
    assert texts(tokenizer, PairTokens(tokenizer, mask_end_tokens=True).of(read()))[1] == "yes yes yes"
