"""Addresses of prompts, imports, models and sampling runs, below /api/."""

from rest_framework.routers import SimpleRouter

from sampling.api import prompts

app_name = "sampling-api"
router = SimpleRouter(use_regex_path=False)
router.register("prompt-sets", prompts.PromptSets, basename="prompt-set")
router.register("prompts", prompts.Prompts, basename="prompt")
urlpatterns = router.urls
