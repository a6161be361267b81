"""Fine-tune the policy on the completions that rejection sampling kept.

    python -m training.pipeline.sft --run-dir DIR

TRL's SFTTrainer. The loss is on the last assistant turn alone, the kept completion: rows are given as
prompt and completion, so any chat template will do, with or without generation markers. Earlier assistant
turns belong to the prompt: nobody judged them. Left out: packing, which pays only for long runs of short
rows.
"""

from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from sampling.engine.run_dir import main
from training.pipeline.arguments import adapter, training_arguments
from training.pipeline.fine_tuning import Result, fine_tune
from training.pipeline.preferences import Messages
from training.pipeline.trainers import Stage, conversation_lengths, load_policy, load_tokenizer
from training.recipe import Sft


def run(run_dir: Path) -> Result:
    """Train and save."""
    stage = Stage.start(run_dir)
    recipe = Sft.parse(stage.told, source="stage.json")
    tokenizer = load_tokenizer(stage.inputs["policy"])
    return fine_tune(
        stage,
        recipe,
        name="SFT",
        lengths_of=lambda each: conversation_lengths(tokenizer, each),
        make_trainer=lambda rows: make_trainer(stage, recipe, tokenizer, rows),
    )


def make_trainer(stage: Stage, recipe: Sft, tokenizer, rows: list[Messages]) -> SFTTrainer:
    """TRL's trainer on these conversations, in this order."""
    config = SFTConfig(**training_arguments(recipe, rows=len(rows), stage=stage), completion_only_loss=True)
    return SFTTrainer(
        model=load_policy(stage.inputs["policy"], recipe),
        args=config,
        train_dataset=Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in rows]),
        processing_class=tokenizer,
        peft_config=adapter(recipe, task="CAUSAL_LM"),
    )


if __name__ == "__main__":
    main(run)
