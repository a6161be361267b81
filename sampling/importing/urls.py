"""Addresses of imports, added to the sampling namespace by urls.py."""

from django.urls import path

from sampling.importing import views

urlpatterns = [
    path("imports/", views.data_imports, name="data_imports"),
    path("imports/new/", views.import_new, name="import_new"),
    path("imports/<int:pk>/", views.data_import, name="data_import"),
    path("imports/<int:pk>/settings/", views.import_settings, name="import_settings"),
    path("imports/<int:pk>/start/", views.import_start, name="import_start"),
    path("imports/<int:pk>/cancel/", views.import_cancel, name="import_cancel"),
    path("imports/<int:pk>/retry/", views.import_retry, name="import_retry"),
    path("imports/<int:pk>/undo/", views.import_undo, name="import_undo"),
    path("imports/<int:pk>/rejects/", views.import_rejects, name="import_rejects"),
]
