"""Addresses of an annotator's work in a project."""

from django.urls import path

from annotation import task_views

urlpatterns = [
    path("projects/<slug:slug>/annotate/", task_views.annotate, name="annotate"),
    path("assignments/<uuid:pk>/", task_views.assignment, name="assignment"),
    path("assignments/<uuid:pk>/submit/", task_views.submit, name="submit"),
    path("assignments/<uuid:pk>/skip/", task_views.skip, name="skip"),
    path("assignments/<uuid:pk>/draft/", task_views.draft, name="draft"),
    path("assignments/<uuid:pk>/renew/", task_views.renew, name="renew"),
]
