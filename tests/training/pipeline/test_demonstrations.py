"""SFT on demonstrations: which tokens count, on a tiny policy."""

import pytest

from sampling.engine.run_dir import RunDirError, read_json_lines, write_stage
from tests.tiny_models import CHAT_TEMPLATE, save_tiny_policy
from tests.training.pipeline.runs import write_lines
from training.pipeline import demonstrations
from training.pipeline.chat_templates import training_template
from training.pipeline.trainers import Stage, load_tokenizer
from training.recipe import Demonstrations, load

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "first"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "second"},
]
# As many models' templates are.
UNMARKED = CHAT_TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")


def conversation(number: int, *, answer: str = "yes yes yes", **more) -> dict:
    asked = [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": "no"}]
    asked += [{"role": "user", "content": "Sure?"}, {"role": "assistant", "content": answer}]
    return {"messages": asked} | more


@pytest.fixture
def run_dir(tmp_path, policy):
    def write(rows, *, model=policy, **changes):
        told = load("smoke").resolved()["sft"] | changes  # the smoke recipe has no demonstrations
        told.pop("start_from")
        directory = tmp_path / "demonstrations"
        rows_file = write_lines(tmp_path / "rows.jsonl", rows) if rows is not None else ""
        inputs = {"policy": str(model), "rows": str(rows_file)}
        write_stage(directory, {"recipe": told, "seed": 17, "inputs": inputs, "outputs_dir": "checkpoint"})
        return directory

    return write


def trainer_on(run_dir, conversations):
    stage = Stage.start(run_dir)
    tokenizer = load_tokenizer(stage.inputs["policy"])
    recipe = Demonstrations.parse(stage.told, source="the test")
    return tokenizer, demonstrations.make_trainer(stage, recipe, tokenizer, conversations)


def test_every_turn_of_the_assistant_counts_with_its_end_and_nothing_else_does(run_dir, policy):
    tokenizer, trainer = trainer_on(run_dir([{"messages": TURNS}]), [TURNS])
    (batch,) = trainer.get_train_dataloader()
    (ids,), (labels,) = batch["input_ids"], batch["labels"]
    # One token a byte and one for each special one, counted by hand:
    #   <|im_start|>system\n       1 + 7 = 8     Be brief.<|im_end|>\n   9 + 1 + 1 = 11    0 .. 18   not learned
    #   <|im_start|>user\n         1 + 5 = 6     One?<|im_end|>\n        4 + 1 + 1 = 6    19 .. 30   not learned
    #   <|im_start|>assistant\n   1 + 10 = 11                                             31 .. 41   not learned
    #   first<|im_end|>            5 + 1 = 6                                              42 .. 47   learned
    #   \n                                 1     <|im_start|>user\n ... Two?<|im_end|>\n  48 .. 60   not learned
    #   <|im_start|>assistant\n           11                                              61 .. 71   not learned
    #   second<|im_end|>           6 + 1 = 7                                              72 .. 78   learned
    #   \n                                 1                                              79         not learned
    learned = [*range(42, 48), *range(72, 79)]
    assert len(ids) == 80
    assert [place for place, label in enumerate(labels) if label != -100] == learned
    assert tokenizer.decode(ids[learned]) == "first<|im_end|>second<|im_end|>"
    assert (labels[learned] == ids[learned]).all()


def test_training_lowers_the_loss_and_keeps_the_policys_own_template(run_dir, policy):
    directory = run_dir([conversation(i) for i in range(16)], learning_rate=1e-2, epochs=5)
    result = demonstrations.run(directory)
    assert result.rows == 16
    assert result.final_loss < 0.7 * result.first_loss
    assert result.resumed_at is None
    assert load_tokenizer(str(directory / "checkpoint")).chat_template == CHAT_TEMPLATE


def test_adapters_are_merged(run_dir):
    directory = run_dir([conversation(i) for i in range(4)], method="lora", learning_rate=1e-2, lora_rank=4)
    demonstrations.run(directory)
    assert (directory / "checkpoint" / "model.safetensors").is_file()
    assert not list((directory / "checkpoint").glob("adapter*"))


def test_what_is_empty_or_too_long_is_left_out_and_listed_by_the_line_that_people_know(run_dir):
    rows = [conversation(1, line=1), conversation(2, line=2)]
    rows += [conversation(3, answer=" ", line=5), conversation(4, answer="x" * 600, line=9)]
    directory = run_dir(rows)
    result = demonstrations.run(directory)
    assert (result.rows, result.dropped) == (2, {"empty": 1, "too_long": 1})
    listed = [(row["stage"], row["reason"], row["line"]) for row in read_json_lines(directory / "dropped.jsonl")]
    assert listed == [("demonstrations", "empty", 5), ("demonstrations", "too_long", 9)]


def test_a_round_without_a_set_is_refused_with_the_remedy(run_dir):
    with pytest.raises(RunDirError, match="has no set of demonstrations"):
        demonstrations.run(run_dir(None))


def test_a_template_without_markers_that_trl_does_not_know_is_refused_with_the_remedy(run_dir, tmp_path):
    model = save_tiny_policy(tmp_path / "unmarked")
    (model / "chat_template.jinja").write_text(UNMARKED)
    with pytest.raises(RunDirError, match=r"Put \{% generation %\} and \{% endgeneration %\} around"):
        demonstrations.run(run_dir([conversation(1), conversation(2)], model=model))


def test_a_template_that_trl_knows_is_learned_from_through_its_version_with_markers(run_dir, tmp_path):
    from trl.chat_template_utils import qwen2_5_chat_template

    model = save_tiny_policy(tmp_path / "qwen")
    (model / "chat_template.jinja").write_text(qwen2_5_chat_template)
    tokenizer, trainer = trainer_on(run_dir([{"messages": TURNS}], model=model), [TURNS])
    assert "{%- generation" in training_template(tokenizer) or "{% generation" in training_template(tokenizer)
    (batch,) = trainer.get_train_dataloader()
    (labels,) = batch["labels"]
    learned = tokenizer.decode(labels[labels != -100])
    assert learned.replace("\n", "") == "first<|im_end|>second<|im_end|>"
