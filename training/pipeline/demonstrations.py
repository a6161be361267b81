"""Fine-tune the policy on demonstrations: conversations of any number of turns that people, or a better model, wrote.

    python -m training.pipeline.demonstrations --run-dir DIR

TRL's SFTTrainer. The loss is on every turn of the assistant and on the token that ends it, and on nothing else: the
chat template says which tokens these are, by its generation markers or by those of the version of it that TRL knows.
The checkpoint keeps the policy's own template. Left out: packing, as in `sft`.
"""

from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from sampling.engine.run_dir import RunDirError, main
from training.pipeline.arguments import adapter, training_arguments
from training.pipeline.chat_templates import mask_problem, training_template
from training.pipeline.fine_tuning import Result, fine_tune
from training.pipeline.preferences import Messages
from training.pipeline.trainers import Stage, conversation_lengths, load_policy, load_tokenizer
from training.recipe import Demonstrations


def run(run_dir: Path) -> Result:
    """Train and save."""
    stage = Stage.start(run_dir)
    recipe = Demonstrations.parse(stage.told, source="stage.json")
    if not stage.inputs["rows"]:
        raise RunDirError("The round has no set of demonstrations. Launch it with one, or without this stage.")
    tokenizer = load_tokenizer(stage.inputs["policy"])
    if problem := mask_problem(tokenizer):
        raise RunDirError(problem)
    template = training_template(tokenizer)
    return fine_tune(
        stage,
        recipe,
        name="SFT on demonstrations",
        lengths_of=lambda each: conversation_lengths(tokenizer, each, chat_template=template),
        make_trainer=lambda rows: make_trainer(stage, recipe, tokenizer, rows),
    )


def make_trainer(stage: Stage, recipe: Demonstrations, tokenizer, rows: list[Messages]) -> SFTTrainer:
    """TRL's trainer on these conversations, in this order."""
    config = SFTConfig(**training_arguments(recipe, rows=len(rows), stage=stage), assistant_only_loss=True)
    return SFTTrainer(
        model=load_policy(stage.inputs["policy"], recipe),
        args=config,
        train_dataset=Dataset.from_list([{"messages": row} for row in rows]),
        processing_class=tokenizer,
        peft_config=adapter(recipe, task="CAUSAL_LM"),
    )


if __name__ == "__main__":
    main(run)
