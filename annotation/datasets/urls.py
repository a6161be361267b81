"""Addresses of snapshots, added to the annotation namespace by urls.py. Those of exports are in export_urls.py."""

from django.urls import path

from annotation.datasets import freeze_views, views, withdrawal_views

urlpatterns = [
    path("projects/<slug:slug>/snapshots/", views.snapshots, name="snapshots"),
    path("projects/<slug:slug>/snapshots/new/", views.snapshot_new, name="snapshot_new"),
    path("snapshots/<int:pk>/", views.snapshot, name="snapshot"),
    path("freezes/<int:pk>/", freeze_views.snapshot_freeze, name="snapshot_freeze"),
    path("freezes/<int:pk>/cancel/", freeze_views.snapshot_freeze_cancel, name="snapshot_freeze_cancel"),
    path("freezes/<int:pk>/retry/", freeze_views.snapshot_freeze_retry, name="snapshot_freeze_retry"),
    path("annotators/<int:pk>/withdraw/", withdrawal_views.withdraw_work_view, name="withdraw_work"),
]
