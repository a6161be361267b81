"""Addresses of filters, added to the sampling namespace by urls.py."""

from django.urls import path

from sampling.curation import views

urlpatterns = [
    path("filters/", views.filter_sets, name="filter_sets"),
    path("filters/new/", views.filter_set_new, name="filter_set_new"),
    path("filters/<int:pk>/", views.filter_set, name="filter_set"),
    path("filters/<int:pk>/delete/", views.filter_set_delete, name="filter_set_delete"),
    path("prompts/<int:pk>/curate/", views.curation_new, name="curation_new"),
    path("curations/<int:pk>/", views.curation, name="curation"),
    path("curations/<int:pk>/keep/", views.curation_keep, name="curation_keep"),
    path("curations/<int:pk>/cancel/", views.curation_cancel, name="curation_cancel"),
    path("curations/<int:pk>/retry/", views.curation_retry, name="curation_retry"),
]
