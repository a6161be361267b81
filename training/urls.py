"""Addresses of rounds."""

from django.urls import path

from training.launching import views as launching
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
]
