"""Rounds, stages and checks as JSON."""

from typing import Any

from django.urls import reverse

from training.evaluation import people
from training.launching import checking, launch_checks
from training.launching.asked import Asked
from training.launching.cost import cost_of
from training.models import LaunchCheck, Stage, TrainingRound
from training.watching import progress, timing

Shown = dict[str, Any]


def round_in_short(round: TrainingRound) -> Shown:
    """A row of the list. Of a round that `lineage.withdrawn.marked` was asked about."""
    return {
        "id": round.pk,
        "name": round.name,
        "url": reverse("training-api:round-detail", args=[round.pk]),
        "page": round.get_absolute_url(),
        "state": round.state,
        "phase": round.phase,
        "done": round.done,
        "total": round.total,
        "failure": round.failure,
        "number": round.number,
        "recipe": round.recipe_name,
        "base_policy": round.base_policy.name,
        "snapshot": {"id": round.snapshot_id, "name": round.snapshot.name, "project": round.snapshot.project.name},
        "policy": round.policy.name if round.policy else None,
        "is_published": bool(round.policy and round.policy.published_at),
        **{key: round.evaluation.get(key) for key in ("win_rate", "win_rate_low", "win_rate_high")},
        "has_withdrawn": round.has_withdrawn,
        "created_at": round.created_at,
        "started_at": round.started_at,
        "finished_at": round.finished_at,
    }


def round_in_full(round: TrainingRound) -> Shown:
    shown = progress.of_round(round)
    return round_in_short(round) | {
        "seed": round.seed,
        "changes": round.changes,
        "resolved_recipe": round.recipe,
        "previous": round.previous.name if round.previous else None,
        "cloned_from": round.cloned_from.name if round.cloned_from else None,
        "demonstrations": round.demonstrations.name if round.demonstrations else None,
        "gate": round.gate_report,
        "overruled_by": round.overruled_by.get_username() if round.overruled_by else None,
        "overruled_at": round.overruled_at,
        "overrule_reason": round.overrule_reason,
        "people": people.as_json(round),
        "request_key": round.request_key,
        "created_by": round.created_by.get_username() if round.created_by else None,
        "stages": [_stage(item) for item in shown.stages],
        "timing": _timing(timing.of_round(round, [item.stage for item in shown.stages])),
    }


def _timing(times: timing.RoundTimes | None) -> Shown | None:
    if times is None:
        return None
    return {
        "wall_seconds": times.wall,
        "work_seconds": times.work,
        "ratio": times.ratio,
        "waiting_seconds": times.waiting,
        "stages": [
            {
                "stage": row.kind,
                "attempts": row.attempts,
                "seconds": row.seconds,
                "work_seconds": row.work,
                "phases": [
                    {"phase": piece.phase, "kind": piece.kind.name.lower(), "seconds": piece.seconds}
                    for piece in row.by_phase()
                ],
            }
            for row in times.rows
        ],
    }


def _stage(item: progress.StageProgress) -> Shown:
    stage: Stage = item.stage
    return {
        "kind": stage.kind,
        "label": stage.get_kind_display(),
        "state": item.state,
        "attempts": stage.attempts,
        "started_at": stage.started_at,
        "finished_at": stage.finished_at,
        "seconds": item.seconds,
        "progress": {"done": item.done, "total": item.total, "unit": item.unit, "phase": item.phase},
        "failure": stage.failure,
        "result": stage.result,
        "model": stage.model_version.name if stage.model_version else None,
    }


def check(row: LaunchCheck, asked: Asked) -> Shown:
    """``problems`` by field, as a launch would refuse with them; empty while the check is not finished."""
    return {
        "id": row.pk,
        "state": row.state,
        "phase": row.phase,
        "failure": row.failure,
        "problems": {field: [problem] for field, problem in checking.problems_in(row).items()},
        "result": row.result,
        "warnings": launch_checks.warnings_of(asked),
        "estimate": _estimate(asked),
        "dropped_page": reverse("training:check_dropped", args=[row.pk]),
    }


def _estimate(asked: Asked) -> Shown | None:
    """What the round would take; null where the policy's size cannot be read here."""
    recipe = launch_checks.examined(asked).recipe
    cost = cost_of(asked, recipe) if recipe else None
    if cost is None or not cost.stages:
        return None
    return {
        "seconds": cost.seconds,
        "rounds_measured": cost.rounds_measured,
        "seconds_by_stage": {stage.kind: stage.seconds for stage in cost.stages},
        "disk_bytes": cost.disk_bytes,
        "disk_bytes_while_training": cost.resume_bytes,
        "disk_free_bytes": cost.free_bytes,
    }
