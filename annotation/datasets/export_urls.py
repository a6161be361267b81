"""Addresses of exports, added to the annotation namespace by urls.py."""

from django.urls import path

from annotation.datasets import export_views as views

urlpatterns = [
    path("snapshots/<int:pk>/exports/", views.snapshot_exports, name="snapshot_exports"),
    path("snapshots/<int:pk>/download/", views.snapshot_download, name="snapshot_download"),
    path("exports/<int:pk>/", views.snapshot_export, name="snapshot_export"),
    path("exports/<int:pk>/files/<str:name>", views.snapshot_export_file, name="snapshot_export_file"),
    path("exports/<int:pk>/cancel/", views.snapshot_export_cancel, name="snapshot_export_cancel"),
    path("exports/<int:pk>/retry/", views.snapshot_export_retry, name="snapshot_export_retry"),
    path("exports/<int:pk>/push/", views.snapshot_export_push, name="snapshot_export_push"),
]
