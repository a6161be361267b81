"""What webhooks are told of rounds and policies."""

from sampling.models import Event, ModelVersion
from sampling.webhooks.emitting import emit
from training.models import TrainingRound


def round_ended(round: TrainingRound) -> None:
    """Finished, failed or cancelled: ``state`` says which."""
    gate = round.gate_report
    data = {
        "id": round.pk,
        "name": round.name,
        "state": round.state,
        "failure": round.failure,
        "policy": round.policy.name if round.policy else None,
        "gate_passed": gate["passed"] if gate else None,
    }
    emit(Event.ROUND_FINISHED, data)


def policy_published(policy: ModelVersion) -> None:
    emit(Event.POLICY_PUBLISHED, {"id": policy.pk, "name": policy.name, "content_hash": policy.content_hash})
