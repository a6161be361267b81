"""Projects, comparisons, the queue's slots, leases, judgments and frozen datasets."""

from annotation.models.comparisons import Comparison, Flag, Purpose, Slot
from annotation.models.datasets import DatasetSnapshot, DatasetSnapshotQuerySet, SnapshotExport, SnapshotFreeze
from annotation.models.judgments import Assignment, AssignmentPurpose, AssignmentState, Judgment
from annotation.models.members import Invitation, JudgeKind, Membership, Qualification, Role
from annotation.models.projects import GuidelinesVersion, Project, ProjectChange, Rationale
from annotation.models.reports import ProjectReport
from annotation.models.withdrawals import WithdrawnWork

__all__ = [
    "Assignment",
    "AssignmentPurpose",
    "AssignmentState",
    "Comparison",
    "DatasetSnapshot",
    "DatasetSnapshotQuerySet",
    "Flag",
    "GuidelinesVersion",
    "Invitation",
    "JudgeKind",
    "Judgment",
    "Membership",
    "Project",
    "ProjectChange",
    "ProjectReport",
    "Purpose",
    "Qualification",
    "Rationale",
    "Role",
    "Slot",
    "SnapshotExport",
    "SnapshotFreeze",
    "WithdrawnWork",
]
