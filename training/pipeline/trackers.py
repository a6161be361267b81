"""Where curves go besides `metrics.jsonl`: TensorBoard files always, and the trackers of WHETSTONE_TRACKERS.

transformers' own integrations, added after our reporter so that they get its figures too.
"""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

import transformers
from tensorboardX import SummaryWriter
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback

from sampling.engine.run_dir import RunDirError

TENSORBOARD = "tensorboard"
KNOWN = {"wandb": WandbCallback, "trackio": TrackioCallback}
PROJECT = "whetstone"


def check_installed(names: list[str]) -> None:
    """Refuse a tracker that is unknown or not installed, before anything is loaded or trained."""
    for name in names:
        if name not in KNOWN:
            raise RunDirError(
                f'WHETSTONE_TRACKERS names "{name}"; it may name {" and ".join(sorted(KNOWN))}. TensorBoard files are '
                "written without being asked for. Change the setting and start the worker again."
            )
        if find_spec(name) is None:
            raise RunDirError(
                f'WHETSTONE_TRACKERS names "{name}", which is not installed. Install it into the environment that the '
                f"workers run in (.venv/bin/python -m pip install {name}), or take it out of the setting."
            )


def add_to(trainer: transformers.Trainer, names: list[str], run_dir: Path, *, resumed_at: int | None) -> None:
    """Have the trainer's logs written as TensorBoard files, and sent to the trackers named."""
    name = f"{run_dir.parent.name}/{run_dir.name}"
    trainer.args.run_name = name
    trainer.args.project = PROJECT
    if "wandb" in names:
        _name_run_of_wandb(run_dir)
    if trainer.is_world_process_zero():
        # What was written of steps beyond the checkpoint is hidden: they come again.
        purge = {} if resumed_at is None else {"purge_step": resumed_at + 1}
        trainer.add_callback(TensorBoardCallback(SummaryWriter(str(run_dir / TENSORBOARD), **purge)))
    for name in names:
        trainer.add_callback(KNOWN[name]())


def _name_run_of_wandb(run_dir: Path) -> None:
    """One run however often the stage is resumed: W&B reads this from the environment alone."""
    ours = {
        "WANDB_PROJECT": PROJECT,
        "WANDB_RUN_ID": hashlib.sha256(str(run_dir).encode()).hexdigest()[:16],
        "WANDB_RESUME": "allow",
        "WANDB_DIR": str(run_dir),
    }
    for variable, value in ours.items():
        os.environ.setdefault(variable, value)
