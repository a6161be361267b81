"""Addresses of projects, comparisons, judgments and datasets, below /api/."""

from rest_framework.routers import SimpleRouter

from annotation.api import (
    assignments,
    comparisons,
    exports,
    guidelines,
    judgments,
    members,
    projects,
    reported,
    snapshots,
    withdrawals,
)

app_name = "annotation-api"
router = SimpleRouter(use_regex_path=False)
router.register("projects", projects.Projects, basename="project")
router.register("guidelines", guidelines.Guidelines, basename="guidelines")
router.register("project-changes", guidelines.Changes, basename="project-change")
router.register("members", members.Members, basename="member")
router.register("invitations", members.Invitations, basename="invitation")
router.register("comparisons", comparisons.Comparisons, basename="comparison")
router.register("flags", reported.Flags, basename="flag")
router.register("skips", reported.Skips, basename="skip")
router.register("assignments", assignments.Assignments, basename="assignment")
router.register("judgments", judgments.Judgments, basename="judgment")
router.register("snapshots", snapshots.Snapshots, basename="snapshot")
router.register("freezes", snapshots.Freezes, basename="freeze")
router.register("exports", exports.Exports, basename="export")
router.register("withdrawals", withdrawals.Withdrawals, basename="withdrawal")
urlpatterns = router.urls
