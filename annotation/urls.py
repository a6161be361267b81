"""Addresses of annotation. The start page of the site is the annotator's."""

from django.urls import path

from annotation import views
from annotation.datasets import export_urls
from annotation.datasets import urls as snapshot_urls
from annotation.projects import member_urls
from annotation.projects import views as project_views
from annotation.quality import urls as quality_urls
from annotation.review import urls as review_urls
from annotation.task import urls as task_urls

app_name = "annotation"
urlpatterns = [
    path("", views.home, name="home"),
    path("projects/new/", project_views.project_new, name="project_new"),
    path("projects/<slug:slug>/", views.project, name="project"),
    path("projects/<slug:slug>/settings/", project_views.project_settings, name="project_settings"),
    path("projects/<slug:slug>/try/", project_views.project_try, name="project_try"),
    path("projects/<slug:slug>/pause/", project_views.project_pause, name="project_pause"),
    path("projects/<slug:slug>/overlap/", project_views.fit, name="fit"),
    path("projects/<slug:slug>/open-comparisons/", project_views.open_comparisons, name="open_comparisons"),
    *member_urls.urlpatterns,
    *quality_urls.urlpatterns,
    *review_urls.urlpatterns,
    *snapshot_urls.urlpatterns,
    *export_urls.urlpatterns,
    *task_urls.urlpatterns,
]
