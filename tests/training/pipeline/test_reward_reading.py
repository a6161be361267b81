"""Which conversations are read together, and what is read where a prompt cannot be shared."""

import itertools

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
)

from tests.tiny_models import save_tiny_reward_model, tiny_config, tiny_tokenizer
from training.pipeline import reward_reading
from training.pipeline.grouped.sharing import Way
from training.pipeline.reward_reading import RowEach, SharedPrompts, Text, reader_for
from training.pipeline.scoring import Scorer, with_exact_head


def conversation(answer, question="Question?"):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def texts(*groups):
    """Of each group (prompt, tokens of the prompt, tokens of each completion)."""
    numbers = itertools.count(1000)
    return [
        Text(f"{prompt}{i}", prompt, (*range(tokens), *(next(numbers) for _ in range(length))))
        for prompt, tokens, lengths in groups
        for i, length in enumerate(lengths)
    ]


class Cpu:
    device = torch.device("cpu")


def batches(given, *, longest, micro_batch, enough=1024):
    """The keys of each batch."""
    reader = SharedPrompts(Cpu(), Way("rewards", "shared", flex=False, in_chunks=True), longest=longest)
    left, found = reader.ordered(given), []
    while left:
        batch = reader.next_batch(left, micro_batch)
        found.append(" ".join(text.key for text in batch))
        del left[: len(batch)]
    return found


def test_conversations_of_a_prompt_are_read_together_in_whatever_order_they_come():
    a0, a1, b0, b1 = texts(("a", 10, (3, 4)), ("b", 10, (3, 4)))
    assert batches([a0, b0, a1, b1], longest=14, micro_batch=2) == ["a0 a1", "b0 b1"]


def test_a_prompt_is_not_cut_where_it_fits_a_batch_of_its_own():
    given = texts(("a", 10, (3, 3)), ("b", 10, (3, 3, 3)), ("c", 10, (3,)))
    assert batches(given, longest=13, micro_batch=4) == ["a0 a1", "b0 b1 b2 c0"]


def test_so_many_candidates_that_no_batch_holds_them_are_cut():
    assert batches(texts(("a", 10, (3,) * 5), ("b", 10, (3,))), longest=13, micro_batch=2) == [
        "a0 a1",
        "a2 a3",
        "a4 b0",
    ]


def test_no_more_tokens_are_read_together_than_as_many_of_the_longest_have():
    # Two of the longest have 2 * 30 = 60 tokens. Beside a's 10 + 20 there is room for b's 10 + 20; c's 30 come later.
    given = texts(("a", 10, (20,)), ("b", 10, (20,)), ("c", 10, (20,)))
    assert batches(given, longest=30, micro_batch=2) == ["a0 b0", "c0"]
    # One prompt: 3 * 11 = 33 tokens hold its 5 with three completions of 6 and no fourth: 5 + 18 = 23, 29, then 35.
    assert batches(texts(("a", 5, (6,) * 6)), longest=11, micro_batch=3) == ["a0 a1 a2", "a3 a4 a5"]


def test_on_a_cpu_prompts_are_read_together_up_to_where_more_are_no_faster(monkeypatch):
    monkeypatch.setattr(reward_reading, "ENOUGH_ON_A_CPU", 40)
    # a and b have 10 + 2 * 5 = 20 tokens each, which is enough; d alone is more, and is not cut for that.
    given = texts(("a", 10, (5, 5)), ("b", 10, (5, 5)), ("c", 10, (5,)), ("d", 10, (12, 12, 12)))
    assert batches(given, longest=22, micro_batch=32) == ["a0 a1 b0 b1", "c0", "d0 d1 d2"]


def alone(place, conversations):
    """What the model itself says of each, nothing beside it."""
    model = with_exact_head(AutoModelForSequenceClassification.from_pretrained(place, dtype=torch.float32).eval())
    rows = tiny_tokenizer().apply_chat_template(conversations, return_dict=False)
    with torch.no_grad():
        return [model(input_ids=torch.tensor([ids])).logits.item() for ids in rows]


def save(model, place):
    tokenizer = tiny_tokenizer()
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


CANDIDATES = [conversation(answer) for answer in ("one", "another that is longer", "x" * 90, "one more")]


def test_each_prompt_goes_through_the_model_once_and_nothing_is_padded(reward, in_32_bits, monkeypatch):
    seen, rows = [], Way.rows
    monkeypatch.setattr(Way, "rows", lambda self, *args: seen.append(rows(self, *args)) or seen[-1])
    scorer = Scorer(reward)
    scores = scorer.score([*CANDIDATES, *[conversation(text, "Another question?") for text in ("one", "two")]])
    assert scores[:4] == pytest.approx(alone(reward, CANDIDATES), abs=1e-5)
    read = seen[-1]
    # <|im_start|>user\nQuestion?<|im_end|>\n<|im_start|>assistant\n is 1 + 5 + 9 + 1 + 1 + 1 + 10 = 28 tokens, with
    # "Another question?" 36. A completion has its characters and an end of two tokens: 5, 24, 92 and 10; 5 and 5. "one"
    # is what another begins with as well as itself, but not all four do; "one" and "two" share nothing.
    assert (read.tokens, read.positions, read.completions) == (28 + 131 + 36 + 10, 205, 6)


def test_a_model_whose_window_is_shorter_than_a_conversation_reads_a_row_for_each(tmp_path, in_32_bits, capsys):
    torch.manual_seed(17)
    config = MistralConfig(**{**tiny_config(tiny_tokenizer()).to_dict(), "sliding_window": 64, "num_labels": 1})
    place = save(MistralForSequenceClassification(config), tmp_path / "reward")
    short, long = CANDIDATES[:2], CANDIDATES
    scorer = Scorer(place)
    assert scorer.score(short) == pytest.approx(alone(place, short), abs=1e-5)
    assert (type(scorer._reader), capsys.readouterr().out) == (SharedPrompts, "")
    assert scorer.score(long) == pytest.approx(alone(place, long), abs=1e-5)  # one is longer than what was compared
    said = capsys.readouterr().out
    assert type(scorer._reader) is RowEach
    assert "sharing the prompt" in said
    assert "A layer sees 64 tokens" in said


def test_a_reward_model_with_another_head_is_asked_as_ever(tmp_path, in_32_bits, capsys):
    torch.manual_seed(17)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=len(tiny_tokenizer()), pad_token_id=tiny_tokenizer().pad_token_id, num_labels=1, **small
    )
    place = save(BertForSequenceClassification(config), tmp_path / "reward")
    assert Scorer(place).score(CANDIDATES) == pytest.approx(alone(place, CANDIDATES), abs=1e-5)
    assert "BertForSequenceClassification reads each conversation in a row of its own" in capsys.readouterr().out


def test_a_model_of_which_no_way_is_right_is_asked_as_ever(reward, in_32_bits, monkeypatch):
    monkeypatch.setattr("training.pipeline.grouped.sharing._difference", lambda *args: "far apart")
    said, scorer = [], Scorer(reward)
    given = [Text("a0", "a", (1, 2, 3)), Text("a1", "a", (1, 2, 4, 5))]
    reader = reader_for(scorer._loaded(), given, say=said.append)
    assert type(reader) is RowEach
    assert said[-1] == "Each conversation is read in a row of its own, as the model does it."


def test_where_the_end_token_pads_a_completion_that_another_begins_with_is_read_at_its_own_end(tmp_path, in_32_bits):
    place = save_tiny_reward_model(tmp_path / "reward")
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    # Nothing after the end token, which classifiers pass over: "Yes" is read at its "s", "" at the prompt's last token.
    tokenizer.chat_template = tokenizer.chat_template.replace("{% endgeneration %}{{ '\n' }}", "{% endgeneration %}")
    tokenizer.save_pretrained(place)
    model = AutoModelForSequenceClassification.from_pretrained(place)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(place)
    given = [conversation(answer) for answer in ("Yes", "Yes, sure", "")]
    one_by_one = [Scorer(place).score([each])[0] for each in given]
    with torch.no_grad():
        rows = tokenizer.apply_chat_template(given, return_dict=False)
        assert one_by_one == pytest.approx([model(torch.tensor([ids])).logits.item() for ids in rows], abs=1e-5)
    assert Scorer(place).score(given) == pytest.approx(one_by_one, abs=1e-5)


def test_rows_of_their_own_are_padded_by_what_the_model_takes_for_padding(reward, in_32_bits):
    scorer = Scorer(reward)
    scorer._loaded().config.pad_token_id = tiny_tokenizer().convert_tokens_to_ids("<|im_start|>")
    scorer._reader = RowEach(scorer._loaded())
    assert scorer.score(CANDIDATES) == pytest.approx(alone(reward, CANDIDATES), abs=1e-5)


def test_a_reward_model_that_names_no_pad_token_is_read_by_its_tokenizers(tmp_path, in_32_bits):
    place = save_tiny_reward_model(tmp_path / "reward")
    expected = alone(place, CANDIDATES)
    model = AutoModelForSequenceClassification.from_pretrained(place)
    model.config.pad_token_id = None
    model.save_pretrained(place)
    assert Scorer(place).score(CANDIDATES) == pytest.approx(expected, abs=1e-5)
