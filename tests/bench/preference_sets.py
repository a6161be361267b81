"""Published preferences as rows of our own export, for the bench of the reward model.

The sets are no part of the project: they are read where they lie, and no sentence of them is kept here. Each row has a
"group" beside the export's columns: what must not be in both splits. Ties are no preferences and are left out.
"""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

Row = dict[str, Any]


class SetAbsent(Exception):
    """The files of a set are not there; the message says where they were looked for."""


@dataclass(frozen=True)
class PreferenceSet:
    """The pairs of which one side was preferred, and the number of those that were not."""

    name: str
    rows: list[Row]
    ties: int


def ukp_convarg(folder: Path) -> PreferenceSet:
    """Which of two arguments convinces more, by the published consensus of five workers; grouped by debate."""
    texts = {(row["topic"], row["id"]): row["text"] for row in _read(folder, "ukp-convarg", "arguments.jsonl")}
    rows, ties = [], 0
    for pair in _read(folder, "ukp-convarg", "pairs.jsonl"):
        if pair["gold"] not in ("a1", "a2"):  # equal, or the consensus was not sure enough to be published
            ties += 1
            continue
        better, worse = ("a1", "a2") if pair["gold"] == "a1" else ("a2", "a1")
        votes = Counter(each["value"] for each in pair["annotations"])
        side = pair["topic"].partition("_")[2].replace("-", " ").strip()
        rows.append(
            _row(
                prompt=f"{pair['title']}\n\nGive a convincing argument for this side: {side}",
                prompt_id=pair["topic"],
                group=_plain(pair["title"]),  # both sides of one debate
                chosen=texts[pair["topic"], pair["arg" + better[1]]],
                rejected=texts[pair["topic"], pair["arg" + worse[1]]],
                strength=strength_of_votes(votes[better], votes.total()),
            )
        )
    return PreferenceSet("ukp-convarg", rows, ties)


def pandalm(folder: Path) -> PreferenceSet:
    """Two models' responses to an instruction, by the majority of three annotators; grouped by instruction."""
    rows, ties = [], 0
    for pair in _read(folder, "pandalm-testset", "data", "testset-v1.json"):
        votes = Counter(pair[f"annotator{number}"] for number in (1, 2, 3))
        better = 1 if votes[1] > votes[2] else 2
        if votes[1] == votes[2] or votes[0] >= votes[better]:
            ties += 1
            continue
        prompt = "\n\n".join(filter(None, (pair["instruction"], pair["input"])))
        rows.append(
            _row(
                prompt=prompt,
                prompt_id=_plain(prompt),
                group=_plain(pair["instruction"]),
                chosen=_text(pair[f"response{better}"]),
                rejected=_text(pair[f"response{3 - better}"]),
                strength=strength_of_votes(votes[better], votes.total()),
            )
        )
    return PreferenceSet("pandalm-testset", rows, ties)


POINTS = {"better": 2, "slightly-better": 1}


def tulu(folder: Path) -> PreferenceSet:
    """Two models' completions, by the mean of their evaluators' five points; grouped by prompt.

    What somebody judged twice counts as they judged it last.
    """
    judged: dict[tuple[str, str, str], dict[str, tuple[str, int]]] = defaultdict(dict)
    completions: dict[tuple[str, str], str] = {}
    prompts: dict[str, str] = {}
    for row in _read(folder, "tulu1-human-eval", "annotations.jsonl"):
        sides = (row["model_a"], row["model_b"])
        prompts[row["instance_id"]] = row["prompt"]
        for model, side in zip(sides, "ab", strict=True):
            completions[row["instance_id"], model] = _text(row[f"completion_{side}"])
        first, second = sorted(sides)
        winner, _, how = row["preference"].partition("-is-")
        points = POINTS.get(how, 0) * (1 if sides[winner == "b"] == first else -1)
        by_evaluator = judged[row["instance_id"], first, second]
        by_evaluator[row["evaluator"]] = max(
            by_evaluator.get(row["evaluator"], ("", 0)), (row["timestamp"], points), key=lambda each: each[0]
        )
    rows, ties = [], 0
    for (instance, first, second), by_evaluator in judged.items():
        points = fmean(each for _, each in by_evaluator.values())
        if points == 0:
            ties += 1
            continue
        better, worse = (first, second) if points > 0 else (second, first)
        rows.append(
            _row(
                prompt=prompts[instance].strip(),
                prompt_id=instance,
                group=_plain(prompts[instance]),
                chosen=completions[instance, better],
                rejected=completions[instance, worse],
                strength=strength_of_points(abs(points)),
            )
        )
    return PreferenceSet("tulu1-human-eval", rows, ties)


SETS = {"ukp-convarg": ukp_convarg, "pandalm-testset": pandalm, "tulu1-human-eval": tulu}


def strength_of_votes(votes: int, of: int) -> str:
    """These sets ask for no strength; how many agree stands for it. Our choice."""
    share = Fraction(votes, of)
    if share == 1:
        return "significantly_better"
    if share >= Fraction(4, 5):
        return "better"
    return "slightly_better" if share > Fraction(1, 2) else "negligibly_better"


def strength_of_points(points: float) -> str:
    """The nearest of the two levels above a tie, half-way the weaker one, as our own consensus does."""
    if points > 1.5:
        return "better"
    return "slightly_better" if points > 0.5 else "negligibly_better"


def split(rows: Iterable[Row], *, held_out_share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and held-out ones: whole groups, as many as make up the share of the rows."""
    by_group: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_group[row["group"]].append(row)
    groups = sorted(by_group)
    random.Random(seed).shuffle(groups)
    wanted = held_out_share * sum(map(len, by_group.values()))
    train: list[Row] = []
    held_out: list[Row] = []
    for group in groups:
        (held_out if len(held_out) < wanted else train).extend(by_group[group])
    return train, held_out


def some(rows: list[Row], count: int, *, seed: int) -> list[Row]:
    """As many rows as asked for, drawn by the seed, in their order; all of them where there are no more."""
    drawn = random.Random(seed).sample(range(len(rows)), min(count, len(rows)))
    return [rows[place] for place in sorted(drawn)]


def _row(*, prompt: str, prompt_id: str, group: str, chosen: str, rejected: str, strength: str) -> Row:
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "strength": strength,
        "prompt_id": prompt_id,
        "group": group,
    }


def _read(folder: Path, *parts: str) -> list[Row]:
    path = folder.joinpath(*parts)
    if not path.is_file():
        raise SetAbsent(f"{path} is absent: the real sets are no part of the project")
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def _text(value: Any) -> str:
    """Both sets have a few cells that a spreadsheet took for something else: TRUE for a yes, NaN for nothing."""
    match value:
        case bool():
            return str(value)
        case str():
            return value.strip()
        case _:
            return ""


def _plain(text: str) -> str:
    """The same for two spellings of one prompt."""
    return " ".join(text.lower().split())
