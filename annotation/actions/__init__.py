"""What changes in annotation. Every write goes through a function in one of these modules."""

from annotation.actions.flags import raise_flag
from annotation.actions.guidelines import mark_guidelines_read
from annotation.actions.invitations import accept_invitation, create_invitation
from annotation.actions.judgments import Answer, Basis, Edit, submit_judgment
from annotation.actions.leases import claim_next, renew_lease, save_draft, skip
from annotation.actions.members import add_member, remove_member, set_qualification
from annotation.actions.opening import open_comparisons
from annotation.actions.projects import (
    create_project,
    fit_some,
    is_fitting,
    publish_guidelines,
    save_settings,
    set_paused,
    set_priority,
)
from annotation.actions.refusals import (
    AnsweredMeanwhile,
    AnswerRefused,
    InvitationRefused,
    KeyReused,
    LastManager,
    LeaseLost,
    MembersRefused,
    NotYours,
)
from annotation.actions.reports import refreshed_report, request_report
from annotation.actions.revoking import revoke_invitation
from annotation.queue.opening import OpenedComparisons

__all__ = [
    "Answer",
    "AnswerRefused",
    "AnsweredMeanwhile",
    "Basis",
    "Edit",
    "InvitationRefused",
    "KeyReused",
    "LastManager",
    "LeaseLost",
    "MembersRefused",
    "NotYours",
    "OpenedComparisons",
    "accept_invitation",
    "add_member",
    "claim_next",
    "create_invitation",
    "create_project",
    "fit_some",
    "is_fitting",
    "mark_guidelines_read",
    "open_comparisons",
    "publish_guidelines",
    "raise_flag",
    "refreshed_report",
    "remove_member",
    "renew_lease",
    "request_report",
    "revoke_invitation",
    "save_draft",
    "save_settings",
    "set_paused",
    "set_priority",
    "set_qualification",
    "skip",
    "submit_judgment",
]
