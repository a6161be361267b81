"""Addresses of an annotator's work in a project."""

from django.urls import path

from annotation.task import answers_views, beside_views, guidelines_views, text_views
from annotation.task import views as task_views

urlpatterns = [
    path("projects/<slug:slug>/annotate/", task_views.annotate, name="annotate"),
    path("projects/<slug:slug>/ahead/", task_views.ahead, name="ahead"),
    path("projects/<slug:slug>/answers/", answers_views.answers, name="answers"),
    path("projects/<slug:slug>/answers/previous/", answers_views.previous, name="previous"),
    path("projects/<slug:slug>/guidelines/", guidelines_views.guidelines, name="guidelines"),
    path("projects/<slug:slug>/guidelines/read/", guidelines_views.guidelines_read, name="guidelines_read"),
    path("assignments/<uuid:pk>/", task_views.assignment, name="assignment"),
    path("assignments/<uuid:pk>/submit/", task_views.submit, name="submit"),
    path("assignments/<uuid:pk>/skip/", task_views.skip, name="skip"),
    path("assignments/<uuid:pk>/draft/", task_views.draft, name="draft"),
    path("assignments/<uuid:pk>/renew/", task_views.renew, name="renew"),
    path("assignments/<uuid:pk>/feedback/", task_views.feedback, name="feedback"),
    path("assignments/<uuid:pk>/diff/", beside_views.diff, name="diff"),
    path("assignments/<uuid:pk>/text/<slug:part>/", text_views.text, name="text"),
    path("assignments/<uuid:pk>/flag/", beside_views.flag, name="flag"),
]
