"""What the tests of exports read and freeze again and again."""

import json

from annotation.datasets.snapshots import freeze_snapshot
from annotation.models import JudgeKind
from tests.annotation.judged import judge, make_comparison

SIMULATED = JudgeKind.SIMULATED


def read(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def marked(project):
    """Train: every mark. Eval: a judgment from before anything was asked, so that its columns are empty."""
    sheet = {"safety": "safe", "aspects": {"clarity": 4, "on": 1}, "defects": ["too_long"]}
    plain = {"safety": "safe", "aspects": {"clarity": 2, "on": 1}, "defects": []}
    judge(make_comparison(project, ["Yes.", "No."], split="eval"), "bob", [[0], [1]])
    asked = make_comparison(project, ["Fruit.", "A traffic jam."])
    judge(asked, "alice", [[2], [0], [1]], marks={0: sheet, 1: plain}, edit="Fruit, boiled.", all_bad=True)
    return freeze_snapshot(project=project, name="june", kinds=[JudgeKind.PERSON])
