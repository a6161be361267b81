"""Addresses of projects, comparisons, judgments and datasets, below /api/."""

from rest_framework.routers import SimpleRouter

app_name = "annotation-api"
router = SimpleRouter(use_regex_path=False)
urlpatterns = router.urls
