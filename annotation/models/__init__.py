"""Projects, comparisons, the queue's slots, leases, judgments and frozen datasets."""

from annotation.models.comparisons import Comparison, Flag, Purpose, Slot
from annotation.models.datasets import DatasetSnapshot
from annotation.models.judgments import Assignment, AssignmentPurpose, AssignmentState, Judgment
from annotation.models.members import Invitation, JudgeKind, Membership, Qualification, Role
from annotation.models.projects import GuidelinesVersion, Project, ProjectChange, Rationale
from annotation.models.reports import ProjectReport

__all__ = [
    "Assignment",
    "AssignmentPurpose",
    "AssignmentState",
    "Comparison",
    "DatasetSnapshot",
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
]
