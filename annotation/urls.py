"""Addresses of annotation. The start page of the site is the annotator's."""

from django.urls import path

from annotation import member_urls, project_views, quality_urls, review_urls, snapshot_urls, task_urls, views

app_name = "annotation"
urlpatterns = [
    path("", views.home, name="home"),
    path("projects/new/", project_views.project_new, name="project_new"),
    path("projects/<slug:slug>/", views.project, name="project"),
    path("projects/<slug:slug>/settings/", project_views.project_settings, name="project_settings"),
    path("projects/<slug:slug>/pause/", project_views.project_pause, name="project_pause"),
    path("projects/<slug:slug>/overlap/", project_views.fit, name="fit"),
    path("projects/<slug:slug>/open-comparisons/", project_views.open_comparisons, name="open_comparisons"),
    *member_urls.urlpatterns,
    *quality_urls.urlpatterns,
    *review_urls.urlpatterns,
    *snapshot_urls.urlpatterns,
    *task_urls.urlpatterns,
]
