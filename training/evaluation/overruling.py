"""Overruling the gate: publishing a policy although it did not pass, by whom and why, on record for ever."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from sampling.long_tasks import TaskState
from sampling.models import ModelVersion
from training import telling
from training.lineage.card import write_card
from training.models import TrainingRound

LEAST_CHARACTERS = 10


class OverruleRefused(Exception):
    """The gate stays as it was; the message says why, and what to do."""


class NotAllowed(OverruleRefused):
    """Whoever asks is no manager of the site."""


class ReasonMissing(OverruleRefused):
    """Nothing was said that anybody could weigh later. A form shows it beside the field."""


class NothingToOverrule(OverruleRefused):
    """The round has not ended well, has made no policy, or its gate has passed."""


class AlreadyOverruled(OverruleRefused):
    """Somebody did so before, whose reason stays."""


def overrule_gate(*, round: TrainingRound, by: Any, reason: str) -> TrainingRound:
    """Publish the round's policy although its gate did not pass: the record and the publication, or neither.

    Raises a kind of OverruleRefused. There is no way back: what people were shown once, they were shown.
    """
    if not (by.is_active and by.is_staff):
        raise NotAllowed(
            f"{by} is not staff, and only staff may overrule a gate. Ask one of them to look at the round."
        )
    reason = reason.strip()
    if len(reason) < LEAST_CHARACTERS:
        raise ReasonMissing(
            f"The reason has {len(reason)} characters. Say in a sentence, of at least {LEAST_CHARACTERS} characters, "
            "why the policy is to be published although it did not pass."
        )
    with transaction.atomic():
        # Of two at once, the second waits here, and then sees what the first has done.
        held = TrainingRound.objects.select_for_update(of=("self",)).select_related("overruled_by").get(pk=round.pk)
        _check(held)
        now = timezone.now()
        held.overruled_by, held.overruled_at, held.overrule_reason = by, now, reason
        held.save(update_fields=["overruled_by", "overruled_at", "overrule_reason"])
        # One that was published by hand meanwhile keeps its date.
        if ModelVersion.objects.filter(pk=held.policy_id, published_at__isnull=True).update(published_at=now):
            telling.policy_published(held.policy)
        # What is on record stays so, even where the card beside the weights cannot be written.
        transaction.on_commit(lambda: write_card(ModelVersion.objects.get(pk=held.policy_id)), robust=True)
    round.refresh_from_db()
    return round


def can_overrule(round: TrainingRound) -> bool:
    """Whether there is a gate to overrule here; who may do it is another question."""
    return _why_not(round) is None


def _check(round: TrainingRound) -> None:
    if refusal := _why_not(round):
        raise refusal


def _why_not(round: TrainingRound) -> OverruleRefused | None:
    if round.overruled_at is not None:
        return AlreadyOverruled(
            f'The gate of round "{round}" was overruled by {round.overruled_by} on {round.overruled_at:%d %B %Y}, and '
            "that stays. Nothing is left to do."
        )
    if round.state != TaskState.FINISHED:
        return NothingToOverrule(
            f'Round "{round}" is {round.get_state_display()}, so its gate has not been asked. Wait until it has '
            "finished, or try it again."
        )
    if round.policy_id is None or round.gate_report is None:
        return NothingToOverrule(f'Round "{round}" made no policy, so there is none to publish.')
    if round.gate_report.get("passed"):
        return NothingToOverrule(f'The gate of round "{round}" has passed: its policy is published already.')
    return None
