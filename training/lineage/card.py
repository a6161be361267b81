"""The model card beside the weights: what is known of the version, for whoever takes it away.

Written when a stage has made a version, and again when its round is judged. The weights' hash is over safetensors
alone, so the card does not change it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string

from sampling import checkpoints
from sampling.models import ModelRole, ModelVersion
from training.evaluation import gate, people
from training.lineage.description import Lineage, lineage_of
from training.models import StageKind, TrainingRound
from training.watching import figures

CARD = "README.md"
LENGTH_CONTROLLED = ("length_controlled_win_rate", "length_controlled_low", "length_controlled_high")


def card_of(version: ModelVersion) -> str:
    lineage = lineage_of(version)
    step = lineage.steps[0]
    round = step.made.round
    is_of_round = round is not None and round.policy_id == version.pk
    context = {
        "lineage": lineage,
        "version": version,
        "step": step,
        "round": round,
        "is_reward": version.role == ModelRole.REWARD,
        "title": json.dumps(version.name, ensure_ascii=False),  # also valid YAML
        "base_models": [json.dumps(name, ensure_ascii=False) for name in _base_models(lineage)],
        "facts": figures.facts_of(step.stage.kind, step.stage.result) if step.stage else [],
        "gate": round.gate_report if is_of_round else None,
        "matches": _matches(round) if is_of_round else [],
        "harness": _result(round, StageKind.HARNESS) if is_of_round else {},
        "changes": json.dumps(round.changes, indent=2) if round and round.changes else "",
        "values": json.dumps(round.recipe.get(step.stage.kind, {}), indent=2) if step.stage else "",
        "provenance": (step.stage.provenance or {}) if step.stage else {},
    }
    return render_to_string("training/model_card.md", context)


def write_card(version: ModelVersion) -> None:
    """Put the card beside the weights of a version that one of our rounds made; leave everything else alone."""
    directory = Path(version.location)
    if checkpoints.is_hub_id(version.location) or not directory.is_dir():
        return
    temporary = directory / f".{CARD}.{os.getpid()}"
    temporary.write_text(card_of(version), encoding="utf-8")
    temporary.replace(directory / CARD)


def _matches(round: TrainingRound) -> list[dict[str, str]]:
    """Whom the new policy met, by whose judgment, and how it went; people's blind tests last."""
    return [
        {
            "against": f"{match['name']} ({match['opponent']})",
            "judge": _judge(match),
            "win_rate": figures.proportion(match, "win_rate", "low", "high"),
            "for_equal_lengths": figures.proportion(match, *LENGTH_CONTROLLED),
            "tokens": f"{match['mean_tokens_new']:.1f} against {match['mean_tokens_opponent']:.1f}",
        }
        for match in [*round.evaluation.get("matches", []), *people.matches(round)]
    ]


def _judge(match: Mapping[str, Any]) -> str:
    if match["judge"] == gate.PEOPLE:
        return f"{gate.JUDGES[gate.PEOPLE]}, {match['prompts']} prompts"
    return f"{match['judge']}{'' if match['independent'] else ', not independent'}"


def _result(round: TrainingRound, kind: StageKind) -> dict[str, Any]:
    return next((stage.result or {} for stage in round.stages.all() if stage.kind == kind), {})


def _base_models(lineage: Lineage) -> list[str]:
    """What the weights began with: the imported version at the end of the line of parents."""
    version = lineage.version
    while version.parent_id:
        version = lineage.graph.made[version.parent_id].version
    return [] if version == lineage.version else [version.name]
