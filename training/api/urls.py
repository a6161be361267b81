"""Addresses of rounds and what belongs to them, below /api/."""

from rest_framework.routers import SimpleRouter

from training.api import others, rounds

app_name = "training-api"
router = SimpleRouter(use_regex_path=False)
router.register("rounds", rounds.Rounds, basename="round")
router.register("recipes", others.Recipes, basename="recipe")
router.register("demonstration-sets", others.Demonstrations, basename="demonstration-set")
router.register("blind-tests", others.BlindTests, basename="blind-test")
router.register("lineage", others.Lineages, basename="lineage")
urlpatterns = router.urls
