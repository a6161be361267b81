"""Addresses of rounds."""

from django.urls import path

from training import views

app_name = "training"
urlpatterns = [
    path("rounds/", views.rounds, name="rounds"),
    path("rounds/new/", views.round_new, name="round_new"),
    path("rounds/estimate/", views.estimate, name="estimate"),
    path("rounds/<int:pk>/", views.round_page, name="round"),
    path("rounds/<int:pk>/cancel/", views.round_cancel, name="round_cancel"),
    path("rounds/<int:pk>/retry/", views.round_retry, name="round_retry"),
    path("rounds/<int:pk>/stages/<str:kind>/log/", views.round_log, name="round_log"),
]
