"""Addresses of snapshots, added to the annotation namespace by urls.py."""

from django.urls import path

from annotation.datasets import views

urlpatterns = [
    path("projects/<slug:slug>/snapshots/", views.snapshots, name="snapshots"),
    path("projects/<slug:slug>/snapshots/new/", views.snapshot_new, name="snapshot_new"),
    path("snapshots/<int:pk>/", views.snapshot, name="snapshot"),
    path("snapshots/<int:pk>/download/", views.snapshot_download, name="snapshot_download"),
]
