"""Addresses of prompts, imports, models and sampling runs, below /api/."""

from rest_framework.routers import SimpleRouter

from sampling.api import access, curation, imports, models, prompts, runs

app_name = "sampling-api"
router = SimpleRouter(use_regex_path=False)
router.register("prompt-sets", prompts.PromptSets, basename="prompt-set")
router.register("prompts", prompts.Prompts, basename="prompt")
router.register("imports", imports.Imports, basename="import")
router.register("left-out-rows", imports.LeftOutRows, basename="left-out-row")
router.register("filter-sets", curation.FilterSets, basename="filter-set")
router.register("curations", curation.Curations, basename="curation")
router.register("models", models.ModelVersions, basename="model")
router.register("sampling-runs", runs.SamplingRuns, basename="sampling-run")
router.register("completions", runs.Completions, basename="completion")
router.register("tokens", access.Tokens, basename="token")
router.register("webhooks", access.Webhooks, basename="webhook")
router.register("deliveries", access.Deliveries, basename="delivery")
urlpatterns = router.urls
