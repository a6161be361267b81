"""Everything that changes rounds from outside: one module a theme. What a round does once it runs is in ``running``."""

from training.actions.checks import (
    announce_check,
    cancel_check,
    execute_check,
    forget_old_checks,
    requested_check,
)
from training.actions.demonstrations import import_demonstrations
from training.actions.rounds import announce, cancel_round, launch_round, retry_round, settle_stages
from training.running.execution import execute_round

__all__ = [
    "announce",
    "announce_check",
    "cancel_check",
    "cancel_round",
    "execute_check",
    "execute_round",
    "forget_old_checks",
    "import_demonstrations",
    "launch_round",
    "requested_check",
    "retry_round",
    "settle_stages",
]
