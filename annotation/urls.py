"""Addresses of annotation. The start page of the site is the annotator's."""

from django.urls import path

from annotation import member_urls, quality_urls, review_urls, snapshot_urls, task_urls, views

app_name = "annotation"
urlpatterns = [
    path("", views.home, name="home"),
    path("projects/new/", views.project_new, name="project_new"),
    path("projects/<slug:slug>/", views.project, name="project"),
    path("projects/<slug:slug>/settings/", views.project_settings, name="project_settings"),
    path("projects/<slug:slug>/pause/", views.project_pause, name="project_pause"),
    path("projects/<slug:slug>/open-comparisons/", views.open_comparisons, name="open_comparisons"),
    *member_urls.urlpatterns,
    *quality_urls.urlpatterns,
    *review_urls.urlpatterns,
    *snapshot_urls.urlpatterns,
    *task_urls.urlpatterns,
]
