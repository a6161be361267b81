"""The files that a round's stages learn from and are measured on, written once into its run directory.

The pairs are the snapshot's export; the prompts are those of the sets that its comparisons came from. What is
held out stays out: a prompt of the train split that is also, word for word, an eval prompt of another of these
sets is left out of both.
"""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from annotation.datasets import exports
from annotation.models import DatasetSnapshot
from sampling.models import Prompt, Split
from training.models import TrainingRound
from training.running import round_plan


def write_data(*, round: TrainingRound) -> Path:
    """The round's data directory; made when there is none yet, all of it or nothing."""
    directory = round.run_dir / "data"
    if directory.is_dir():
        return directory
    round.run_dir.mkdir(parents=True, exist_ok=True)
    # A name of this claim's own: a worker that lost its claim may still be writing.
    partial = round.run_dir / f".data-{round.claim}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        for judges in round_plan.judges_in(round.recipe):
            exports.write_export(snapshot=round.snapshot, directory=partial / judges, rows="majority")
            _leave_out_held_out_pairs(partial / judges / "train.jsonl", snapshot=round.snapshot)
            # The export leaves out an empty split; a stage that has no pairs to read says so itself.
            (partial / judges / "eval.jsonl").touch()
        train, held_out = prompts_of(round.snapshot)
        _write_prompts(partial / "prompts_train.jsonl", train)
        _write_prompts(partial / "prompts_eval.jsonl", held_out)
        partial.rename(directory)
    except OSError:
        if not directory.is_dir():  # else another worker was first, with the same bytes
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return directory


def prompts_of(snapshot: DatasetSnapshot):
    """Two querysets: the prompts to train on and the eval prompts, of the sets that the snapshot came from."""
    prompts = _prompts_of_its_sets(snapshot)
    held_out = prompts.filter(split=Split.EVAL)
    train = prompts.filter(split=Split.TRAIN).exclude(content_hash__in=held_out.values("content_hash"))
    return train.order_by("pk"), held_out.order_by("pk")


def _prompts_of_its_sets(snapshot: DatasetSnapshot):
    sets = Prompt.objects.filter(comparisons__judgments__snapshots=snapshot).values("prompt_set")
    return Prompt.objects.filter(prompt_set__in=sets)


def _write_prompts(path: Path, prompts: Iterable[Prompt]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for prompt in prompts.iterator():
            row = {"id": str(prompt.pk), "messages": prompt.messages}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _leave_out_held_out_pairs(path: Path, *, snapshot: DatasetSnapshot) -> None:
    prompts = _prompts_of_its_sets(snapshot)
    held_out = prompts.filter(split=Split.EVAL).values("content_hash")
    twins = prompts.filter(split=Split.TRAIN, content_hash__in=held_out)
    leaked = {str(pk) for pk in twins.values_list("pk", flat=True)}
    if not leaked:
        return
    kept = path.with_suffix(".kept")
    with path.open(encoding="utf-8") as source, kept.open("w", encoding="utf-8") as target:
        target.writelines(line for line in source if str(json.loads(line)["prompt_id"]) not in leaked)
    kept.replace(path)
