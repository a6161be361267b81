"""Addresses of annotation. The start page of the site is the annotator's."""

from django.urls import path

from annotation import snapshot_urls, task_views, views

app_name = "annotation"
urlpatterns = [
    path("", views.home, name="home"),
    path("projects/new/", views.project_new, name="project_new"),
    path("projects/<slug:slug>/", views.project, name="project"),
    path("projects/<slug:slug>/settings/", views.project_settings, name="project_settings"),
    path("projects/<slug:slug>/pause/", views.project_pause, name="project_pause"),
    path("projects/<slug:slug>/members/", views.members, name="members"),
    path("projects/<slug:slug>/members/<int:pk>/remove/", views.member_remove, name="member_remove"),
    path("projects/<slug:slug>/open-comparisons/", views.open_comparisons, name="open_comparisons"),
    path("projects/<slug:slug>/annotate/", task_views.annotate, name="annotate"),
    path("assignments/<uuid:pk>/", task_views.assignment, name="assignment"),
    path("assignments/<uuid:pk>/submit/", task_views.submit, name="submit"),
    path("assignments/<uuid:pk>/skip/", task_views.skip, name="skip"),
    path("assignments/<uuid:pk>/draft/", task_views.draft, name="draft"),
    path("assignments/<uuid:pk>/renew/", task_views.renew, name="renew"),
    *snapshot_urls.urlpatterns,
]
