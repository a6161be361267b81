"""Look at all that a round will read, before it spends anything: a round's first stage, and the launch form's check.

    python -m training.pipeline.check --run-dir DIR

No model is loaded: the policy's tokenizer and configuration, and the round's files, are enough to say what each stage
will train on, what it leaves out (each row listed in `dropped.jsonl`), in how many steps and in how much memory. What
stands in the way is a problem, with the field of the launch form that can be changed; the program then ends badly, and
`check.json` has the result all the same. Left out: what rejection sampling will keep, which nobody knows before.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from sampling.engine.run_dir import Progress, RunDirError, main, read_stage, write_json
from training.pipeline import chat_templates, checked_rows, checked_stages, checked_tools, provenance
from training.pipeline.checked_stages import Found
from training.pipeline.left_out import DROPPED, write_left_out
from training.recipe import Recipe, from_dict

CHECK = "check.json"


def run(run_dir: Path) -> dict[str, Any]:
    """Look at everything; raises `RunDirError` with the problems, once the result is written."""
    told = read_stage(run_dir)
    provenance.write(run_dir, told)
    (run_dir / DROPPED).unlink(missing_ok=True)
    progress = Progress(run_dir, unit="stages")
    progress.update(phase="loading the tokenizer")
    recipe = from_dict(told["recipe"], source="stage.json", is_of_round=True)
    result = looked_at(run_dir, recipe, told["inputs"], progress)
    write_json(run_dir / CHECK, result)
    if result["problems"]:
        raise RunDirError(" ".join(problem["message"] for problem in result["problems"]))
    return result


def looked_at(run_dir: Path, recipe: Recipe, inputs: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The result as it stands in `check.json`."""
    found = Found(inputs["policy"])
    tokenizer = _tokenizer(inputs["policy"], found)
    if tokenizer is None:  # nothing can be measured without it
        nothing = {"chat_template": False, "assistant_mask": False, "end_token": None, "ends_with_end_token": False}
        return _result(found, tokenizer=nothing, rows=0, lengths={}, memory=(0, 0))
    template = chat_templates.described(tokenizer, inputs["policy"])
    if not template.ends_with_end_token:
        found.warn(
            "The policy's chat template does not end a turn of the assistant with a token at which sampling stops, so "
            "what is trained here learns no end. Change the template, or the policy."
        )
    read = checked_rows.read(inputs, tokenizer)
    stages = checked_stages.of(recipe)
    for number, stage in enumerate(stages):
        progress.update(number, total=len(stages), phase=f"checking {stage.replace('_', ' ')}")
        write_left_out(run_dir, stage, checked_stages.look_at(stage, recipe, read, tokenizer, found))
    progress.update(len(stages), total=len(stages), phase="checking tasks and libraries")
    checked_tools.look_for(recipe, found)
    progress.update(len(stages), total=len(stages), phase="measuring lengths")
    memory = checked_stages.memory(recipe, found)
    return _result(found, tokenizer=asdict(template), rows=read.count, lengths=read.lengths(), memory=memory)


def _result(found: Found, *, tokenizer: dict, rows: int, lengths: dict, memory: tuple[int, int]) -> dict[str, Any]:
    return {
        "rows": rows,
        "problems": found.problems,
        "warnings": found.warnings,
        "tokenizer": tokenizer,
        "lengths": lengths,
        "stages": found.stages,
        "memory_bytes": memory[0],
        "memory_free_bytes": memory[1],
    }


def _tokenizer(policy: str, found: Found) -> PreTrainedTokenizerBase | None:
    try:
        return chat_templates.load_tokenizer(policy)
    except RunDirError as error:
        found.problem("base_policy", str(error))
    except (OSError, ValueError) as error:  # of transformers, for files that are missing or torn
        found.problem("base_policy", f"The policy's tokenizer cannot be loaded: {error}. Choose another policy.")
    return None


if __name__ == "__main__":
    main(run)
