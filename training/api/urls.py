"""Addresses of the API of rounds, below /api/."""

from django.urls import path

from training.api import views

app_name = "training-api"
urlpatterns = [
    path("", views.index, name="index"),
    path("rounds/", views.rounds, name="rounds"),
    path("rounds/check/", views.check, name="check"),
    path("rounds/<int:pk>/", views.round, name="round"),
    path("rounds/<int:pk>/cancel/", views.round_cancel, name="round_cancel"),
    path("rounds/<int:pk>/retry/", views.round_retry, name="round_retry"),
]
