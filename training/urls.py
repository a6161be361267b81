"""Addresses of rounds."""

from django.urls import path

from training.launching import views as launching
from training.lineage import views as lineage
from training.watching import views as watching

app_name = "training"
urlpatterns = [
    path("rounds/", watching.rounds, name="rounds"),
    path("rounds/new/", launching.round_new, name="round_new"),
    path("rounds/estimate/", launching.estimate, name="estimate"),
    path("rounds/<int:pk>/", watching.round_page, name="round"),
    path("rounds/<int:pk>/cancel/", watching.round_cancel, name="round_cancel"),
    path("rounds/<int:pk>/retry/", watching.round_retry, name="round_retry"),
    path("rounds/<int:pk>/stages/<str:kind>/log/", watching.round_log, name="round_log"),
    path("models/<int:pk>/lineage/", lineage.lineage, name="lineage"),
    path("models/<int:pk>/lineage.json", lineage.lineage_json, name="lineage_json"),
    path("models/<int:pk>/lineage/judgments/", lineage.lineage_judgments, name="lineage_judgments"),
    path("models/<int:pk>/lineage/judgments.jsonl", lineage.lineage_judgments_file, name="lineage_judgments_file"),
    path("learned-from/<str:what>/<int:pk>/", lineage.learned_from, name="learned_from"),
]
