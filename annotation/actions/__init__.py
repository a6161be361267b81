"""What changes in annotation. Every write goes through a function in one of these modules."""

from annotation.actions.judgments import submit_judgment
from annotation.actions.leases import claim_next, renew_lease, save_draft, skip
from annotation.actions.members import add_member, remove_member
from annotation.actions.projects import create_project, save_settings, set_paused
from annotation.actions.refusals import AnswerRefused, KeyReused, LeaseLost, NotYours
from annotation.opening import OpenedComparisons, open_comparisons

__all__ = [
    "AnswerRefused",
    "KeyReused",
    "LeaseLost",
    "NotYours",
    "OpenedComparisons",
    "add_member",
    "claim_next",
    "create_project",
    "open_comparisons",
    "remove_member",
    "renew_lease",
    "save_draft",
    "save_settings",
    "set_paused",
    "skip",
    "submit_judgment",
]
