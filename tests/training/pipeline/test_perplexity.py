"""Perplexity, by pencil and against a plain loop."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sampling.engine.run_dir import RunDirError
from training.pipeline.perplexity import Window, perplexity, text_of, tokens_of, windows


@pytest.fixture(scope="module")
def model(policy):
    return AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def tokenizer(policy):
    return AutoTokenizer.from_pretrained(policy)


def nll_of(model, context, token):
    """One prediction, the long way: -log softmax(logits of the last position)[token]."""
    with torch.inference_mode():
        logits = model(torch.tensor([context])).logits[0, -1].double()
    return -(logits[token] - logits.logsumexp(0)).item()


def test_windows_overlap_by_half_and_the_last_one_ends_with_the_text():
    # 9 tokens, windows of 4, so steps of 2: 0-3 counts 1 2 3, 2-5 counts 4 5, 4-7 counts 6 7, and of 5-8 only 8 is new.
    assert windows(9, 4) == [Window(0, 4, 1), Window(2, 6, 4), Window(4, 8, 6), Window(5, 9, 8)]
    assert windows(4, 4) == [Window(0, 4, 1)]


def test_a_text_shorter_than_the_window_is_one_window():
    assert windows(3, 8) == [Window(0, 3, 1)]


@pytest.mark.parametrize("tokens", [2, 15, 16, 17, 24, 100, 101])
def test_every_token_but_the_first_is_counted_once(tokens):
    laid = windows(tokens, 16)
    counted = [token for each in laid for token in range(each.counts_from, each.end)]
    assert counted == list(range(1, tokens))
    assert {each.end - each.start for each in laid} == {min(16, tokens)}


def test_it_is_that_of_a_plain_loop_over_the_tokens(model, tokenizer):
    tokens = tokens_of(tokenizer, "The dog slows down when we cross the bridge.")  # 44 bytes, 44 tokens
    # Windows of 16, so steps of 8; a token is predicted from what its window holds before it.
    losses = []
    for place in range(1, len(tokens)):
        start = next(w.start for w in windows(len(tokens), 16) if w.counts_from <= place < w.end)
        losses.append(nll_of(model, tokens[start:place], tokens[place]))
    assert len(losses) == 43
    expected = math.exp(sum(losses) / 43)
    assert perplexity(model, tokens, window=16, micro_batch=3) == pytest.approx(expected, rel=1e-5)


def test_how_many_windows_are_read_together_changes_nothing(model, tokenizer):
    tokens = tokens_of(tokenizer, "A river does not run straight for long. " * 5)
    one, many = (perplexity(model, tokens, window=32, micro_batch=size) for size in (1, 64))
    assert one == pytest.approx(many, rel=1e-6)


def test_who_knows_nothing_is_as_surprised_as_by_a_die_with_a_side_for_each_token(policy, tokenizer):
    blank = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32).eval()
    with torch.no_grad():
        for weight in blank.parameters():
            weight.zero_()
    # All logits 0: every token has the chance 1 / vocabulary, and the perplexity is the vocabulary's size.
    found = perplexity(blank, tokens_of(tokenizer, "Whatever it is that stands here."), window=16, micro_batch=2)
    assert found == pytest.approx(blank.config.vocab_size, rel=1e-6)


def test_no_window_is_longer_than_the_model_reads(model, tokenizer):
    tokens = tokens_of(tokenizer, "x" * 600)  # the tiny model reads 512
    shares = []
    perplexity(model, tokens, window=100_000, micro_batch=1, on_progress=shares.append)
    assert shares == [0.5, 1.0]  # 0-511, then 88-599


def test_the_bundled_text_is_about_1500_words():
    assert 1400 < len(text_of("").split()) < 2000


def test_a_text_that_is_not_there_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(RunDirError, match=r'cannot be read .* Correct "text" in the recipe'):
        text_of(str(tmp_path / "none.txt"))


def test_an_empty_text_and_one_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(RunDirError, match="is empty"):
        text_of(str(tmp_path / "empty.txt"))
    (tmp_path / "latin.txt").write_bytes("Ärger".encode("latin-1"))
    with pytest.raises(RunDirError, match="is not UTF-8"):
        text_of(str(tmp_path / "latin.txt"))


def test_a_single_token_has_no_perplexity(tokenizer):
    with pytest.raises(RunDirError, match="a single token"):
        tokens_of(tokenizer, "x")
