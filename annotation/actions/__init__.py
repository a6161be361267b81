"""What changes in annotation. Every write goes through a function in one of these modules."""

from annotation.actions.judgments import Answer, Edit, submit_judgment
from annotation.actions.leases import claim_next, renew_lease, save_draft, skip
from annotation.actions.members import add_member, remove_member, set_qualification
from annotation.actions.projects import create_project, publish_guidelines, save_settings, set_paused
from annotation.actions.refusals import AnswerRefused, KeyReused, LeaseLost, NotYours
from annotation.opening import OpenedComparisons, open_comparisons

__all__ = [
    "Answer",
    "AnswerRefused",
    "Edit",
    "KeyReused",
    "LeaseLost",
    "NotYours",
    "OpenedComparisons",
    "add_member",
    "claim_next",
    "create_project",
    "open_comparisons",
    "publish_guidelines",
    "remove_member",
    "renew_lease",
    "save_draft",
    "save_settings",
    "set_paused",
    "set_qualification",
    "skip",
    "submit_judgment",
]
