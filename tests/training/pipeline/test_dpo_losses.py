"""The losses of DPO: against numbers worked out by hand, and against TRL's own trainer on the same rows."""

import math

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer

from tests.tiny_models import save_tiny_policy
from tests.training.pipeline.runs import pair, stage_dir, write_lines
from tests.training.pipeline.stages import loss_of_step, tokenised
from training.pipeline import dpo
from training.pipeline.grouped.plan import Part
from training.pipeline.grouped.rankings import Ranking
from training.pipeline.grouped.rows import rows_of
from training.pipeline.pair_tokens import PairTokens
from training.pipeline.preferences import read_pairs
from training.pipeline.reference_cache import ReferenceCache
from training.pipeline.trainers import Stage, load_tokenizer
from training.recipe import Dpo

# A completion of two tokens is chosen and one of four rejected: one token a byte, and their ends are masked.
ROW = pair(chosen="ab", rejected="cdef")
# A tie is both of its orders.
TIE = [ROW, pair(chosen="cdef", rejected="ab")]
# log p(completion | policy) - log p(completion | reference), summed over its tokens.
RATIOS = {"ab": 0.4, "cdef": -0.6}
# The same for the other order.
REVERSED = {"ab": -0.6, "cdef": 0.4}

# beta is 0.5 throughout; log(1 + e^-x) = -log sigmoid(x).
#   sigmoid        delta = 0.4 - (-0.6) = 1;          log(1 + e^-0.5)                        = 0.474077
#   flipped        delta = -1;                        log(1 + e^0.5)                         = 0.974077
#   ipo            0.4 / 2 - (-0.6) / 4 = 0.35;       (0.35 - 1 / (2 * 0.5))^2 = (-0.65)^2   = 0.4225
#   sigmoid_norm   0.5 * 0.35 = 0.175;                log(1 + e^-0.175)                      = 0.609472
#   robust, 0.1    (0.9 * 0.474077 - 0.1 * 0.974077) / 0.8                                   = 0.411577
BY_HAND = {"sigmoid": 0.474077, "ipo": 0.4225, "sigmoid_norm": 0.609472, "robust": 0.411577}


class Given(ReferenceCache):
    """A reference that is told its sums, by prompt and completion."""

    def __init__(self, sums):
        super().__init__(None, by_part=False)
        self.sums = sums

    def get(self, part):
        return [self.sums[each] for each in sides_of(part)]


def sides_of(part):
    """Prompt and completion of each completion of a part, in its order."""
    return [(ranking.prompt, completion) for ranking in part.rankings for completion in ranking.completions]


@pytest.fixture
def make(tmp_path, policy, in_32_bits):
    """Builds the stage's trainer on these rows with this reference; without one the policy is its own."""

    def build(rows, reference=None, *, model=policy, **changes):
        path = write_lines(tmp_path / "pairs.jsonl", rows)
        inputs = {"policy": model, "pairs_train": path}
        stage = Stage.start(stage_dir(tmp_path / "dpo", "dpo", inputs=inputs, **changes))
        recipe = Dpo.parse(stage.told, source="the test")
        tokenizer = load_tokenizer(str(model))
        known = reference or ReferenceCache(None, by_part=False)
        tokens = tokenised(path, tokenizer, mask_end_tokens=recipe.mask_end_tokens).tokens
        return dpo.make_trainer(stage, recipe, tokenizer, tokens, known)

    return build


def loss_of_trls(trainer) -> float:
    """The loss of the first batch of TRL's own trainer, before any step."""
    inputs = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    trainer.model.train()
    with torch.no_grad():
        return trainer.compute_loss(trainer.model, inputs).item()


def sums_of(trainer) -> dict[tuple, float]:
    """What the trainer's policy gives each completion, as its reference."""
    found = {}
    for part, sums in trainer._sums_of.items():
        found |= dict(zip(sides_of(part), sums.tolist(), strict=True))
    return found


def sum_of(trainer, text: str) -> float:
    """That of the completion that says so."""
    decode = trainer.processing_class.decode
    (found,) = (value for (_, ids), value in sums_of(trainer).items() if decode(ids) == text)
    return found


def loss_at(make, ratios, *, rows=(ROW,), **changes) -> float:
    """The loss where the policy's log-ratios to the reference are these, by what a completion says."""
    own = make(rows, mask_end_tokens=True, **changes)
    decode = own.processing_class.decode
    reference = {side: value - ratios[decode(side[1])] for side, value in sums_of(own).items()}
    return loss_of_step(make(rows, Given(reference), mask_end_tokens=True, **changes))


def changes_for(loss: str) -> dict:
    return {"loss": loss, "beta": 0.5} | ({"label_smoothing": 0.1} if loss == "robust" else {})


@pytest.mark.parametrize(("loss", "by_hand"), BY_HAND.items())
def test_each_loss_is_the_one_worked_out_by_hand(make, loss, by_hand):
    assert loss_at(make, RATIOS, **changes_for(loss)) == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("loss", BY_HAND)
def test_the_first_loss_is_known_beforehand(make, loss):
    # ln 2 = 0.6931 for the three that are made of sigmoids: for robust (0.9 ln 2 - 0.1 ln 2) / 0.8 is ln 2 again.
    # For IPO (0 - 1 / (2 beta))^2 = 1 / (4 * 0.25) = 1.
    trainer = make([pair(i) for i in range(4)], **changes_for(loss))
    expected = 1.0 if loss == "ipo" else math.log(2)
    assert loss_of_step(trainer) == pytest.approx(expected, abs=1e-4)
    recipe = Dpo.parse(trainer.stage.told, source="the test")
    assert dpo.first_loss_of(recipe) == pytest.approx(expected)


def test_the_nll_term_is_added_with_its_weight(make):
    # With mask_end_tokens the chosen completion is the two letters: NLL = -(sum of their log-probabilities) / 2.
    rows = [ROW]
    plain = make(rows, mask_end_tokens=True, nll_weight=0.0)
    chosen = sum_of(plain, "ab")
    assert loss_of_step(plain) == pytest.approx(math.log(2), abs=1e-5)
    for weight in (0.2, 1.0):
        with_nll = loss_of_step(make(rows, mask_end_tokens=True, nll_weight=weight))
        assert with_nll == pytest.approx(math.log(2) + weight * -chosen / 2, abs=1e-4)


def test_the_nll_term_of_two_pairs_is_a_mean_over_their_tokens_and_not_over_the_pairs(make):
    # TRL's way: (NLL of 2 tokens + NLL of 8 tokens) / 10; the paper's would be the mean of the two means.
    rows = [pair(1, chosen="ab", rejected="c"), pair(2, chosen="abcdefgh", rejected="c")]
    trainer = make(rows, mask_end_tokens=True, nll_weight=1.0)
    short, long = sum_of(trainer, "ab"), sum_of(trainer, "abcdefgh")
    by_tokens, by_pairs = -(short + long) / 10, -(short / 2 + long / 8) / 2
    assert loss_of_step(trainer) - math.log(2) == pytest.approx(by_tokens, abs=1e-4)
    assert abs(by_tokens - by_pairs) > 1e-3


def test_a_tie_pulls_both_orders_to_where_neither_is_preferred(make):
    # Away from the reference (delta 1 and -1): (0.474077 + 0.974077) / 2 = 0.724077; at it: ln 2 = 0.693147, less.
    assert loss_at(make, RATIOS, rows=TIE, beta=0.5) == pytest.approx(0.724077, abs=1e-5)
    assert loss_at(make, dict.fromkeys(RATIOS, 0.0), rows=TIE, beta=0.5) == pytest.approx(math.log(2), abs=1e-5)
    # As much on the other side costs the same, so no order is learned.
    assert loss_at(make, REVERSED, rows=TIE, beta=0.5) == pytest.approx(0.724077, abs=1e-5)


def test_robust_and_plain_losses_of_a_tie_are_the_same(make):
    # (0.9 a - 0.1 b) / 0.8 and (0.9 b - 0.1 a) / 0.8 add up to a + b.
    assert loss_at(make, RATIOS, rows=TIE, **changes_for("robust")) == pytest.approx(0.724077, abs=1e-5)


@pytest.mark.parametrize("nll_weight", [0.0, 0.2])
@pytest.mark.parametrize("loss", BY_HAND)
def test_each_loss_is_that_of_trls_own_trainer_with_a_second_model_as_reference(
    tmp_path, make, policy, loss, nll_weight
):
    rows = [pair(i, chosen="yes " * (1 + i), rejected="no") for i in range(4)]
    other = save_tiny_policy(tmp_path / "other", seed=5)
    changes = changes_for(loss) | {"nll_weight": nll_weight}
    of_other = sums_of(make(rows, model=other, **changes))
    ours = loss_of_step(make(rows, Given(of_other), **changes))

    config = DPOConfig(
        output_dir=str(tmp_path / "trl"),
        loss_type=[loss, "sft"],
        loss_weights=[1.0, nll_weight],
        beta=0.5,
        label_smoothing=0.1 if loss == "robust" else 0.0,
        per_device_train_batch_size=4,
        train_sampling_strategy="sequential",
        max_length=512,
        bf16=False,
        use_cpu=True,
        report_to=[],
    )
    trls = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32),
        ref_model=AutoModelForCausalLM.from_pretrained(other, dtype=torch.float32),
        args=config,
        train_dataset=Dataset.from_list([{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows]),
        processing_class=load_tokenizer(str(policy)),
    )
    assert ours == pytest.approx(loss_of_trls(trls), abs=1e-5)
    assert abs(ours - loss_of_step(make(rows, **changes))) > 1e-4  # the other model is another reference


@pytest.mark.parametrize("after_the_end", ["\n", ""])
def test_leaving_the_end_off_a_row_is_the_same_as_masking_it(make, policy, after_the_end):
    tokenizer = load_tokenizer(str(policy))
    tokenizer.chat_template = tokenizer.chat_template.replace("{{ '\n' }}", f"{{{{ '{after_the_end}' }}}}")
    (read,) = read_pairs(make([ROW]).stage.inputs["pairs_train"])
    left_off = PairTokens(tokenizer, mask_end_tokens=True).of(read)
    whole = PairTokens(tokenizer).of(read)
    assert tokenizer.decode(whole["chosen_ids"]) == "ab<|im_end|>" + after_the_end
    assert tokenizer.decode(left_off["chosen_ids"]) == "ab"

    model = make([ROW]).model
    sides = ("chosen_ids", "rejected_ids")
    ranking = Ranking(tuple(left_off["prompt_ids"]), tuple(tuple(left_off[side]) for side in sides), ())
    rows = rows_of(Part((ranking,)), of="log_probs", layout="shared", pad_token_id=tokenizer.pad_token_id)
    start = len(whole["prompt_ids"])
    with torch.no_grad():
        short = model(rows=rows).values
        for found, side, letters in zip(short.tolist(), sides, (2, 4), strict=True):
            ids = torch.tensor([whole["prompt_ids"] + whole[side]])
            log_probs = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None]).squeeze(-1)
            masked = log_probs[start - 1 :][:letters].sum()  # the row with its end, of which the letters alone count
            assert found == pytest.approx(masked.item(), abs=1e-5)
