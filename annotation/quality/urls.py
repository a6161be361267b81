"""Addresses of agreement and of annotators' figures."""

from django.urls import path

from annotation.quality import views as quality_views

urlpatterns = [
    path("projects/<slug:slug>/quality/", quality_views.quality, name="quality"),
    path("projects/<slug:slug>/quality/status/", quality_views.quality_status, name="quality_status"),
    path("projects/<slug:slug>/quality/update/", quality_views.quality_update, name="quality_update"),
    path("projects/<slug:slug>/quality/annotators.csv", quality_views.annotators_csv, name="annotators_csv"),
    path("projects/<slug:slug>/annotators/<int:pk>/", quality_views.annotator, name="annotator"),
]
