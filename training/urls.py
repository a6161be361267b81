"""Addresses of rounds."""

from django.urls import path

from training.evaluation import blind_test_views
from training.launching import demonstration_views
from training.launching import views as launching
from training.lineage import views as lineage
from training.watching import answer_views as answers
from training.watching import comparing_views as comparing
from training.watching import row_views as rows
from training.watching import steering_views as steering
from training.watching import views as watching

app_name = "training"
urlpatterns = [
    path("rounds/", watching.rounds, name="rounds"),
    path("rounds/new/", launching.round_new, name="round_new"),
    path("rounds/estimate/", launching.estimate, name="estimate"),
    path("rounds/checks/<int:pk>/dropped/", rows.check_dropped, name="check_dropped"),
    path("rounds/demonstrations/", demonstration_views.demonstration_sets, name="demonstration_sets"),
    path("rounds/demonstrations/<int:pk>/", demonstration_views.demonstration_set, name="demonstration_set"),
    path("rounds/compare/", comparing.rounds_compared, name="rounds_compared"),
    path("rounds/<int:pk>/", watching.round_page, name="round"),
    path("rounds/<int:pk>/cancel/", steering.round_cancel, name="round_cancel"),
    path("rounds/<int:pk>/retry/", steering.round_retry, name="round_retry"),
    path("rounds/<int:pk>/overrule/", steering.round_overrule, name="round_overrule"),
    path("rounds/<int:pk>/stages/<str:kind>/left-out/", rows.dropped, name="dropped"),
    path("rounds/<int:pk>/stages/<str:kind>/left-out.jsonl", rows.dropped_file, name="dropped_file"),
    path("rounds/<int:pk>/stages/<str:kind>/log/", watching.round_log, name="round_log"),
    path("rounds/<int:pk>/answers/", answers.answers_page, name="answers"),
    path("rounds/<int:pk>/blind-tests/", blind_test_views.blind_tests_page, name="blind_tests"),
    path("rounds/<int:pk>/blind-tests/open/", blind_test_views.blind_test_open, name="blind_test_open"),
    path("models/<int:pk>/lineage/", lineage.lineage, name="lineage"),
    path("models/<int:pk>/card.md", lineage.model_card, name="model_card"),
    path("models/<int:pk>/lineage.json", lineage.lineage_json, name="lineage_json"),
    path("models/<int:pk>/lineage/judgments/", lineage.lineage_judgments, name="lineage_judgments"),
    path("models/<int:pk>/lineage/judgments.jsonl", lineage.lineage_judgments_file, name="lineage_judgments_file"),
    path("learned-from/<str:what>/<int:pk>/", lineage.learned_from, name="learned_from"),
]
