"""Addresses of members and invitations."""

from django.urls import path

from annotation import views

urlpatterns = [
    path("projects/<slug:slug>/members/", views.members, name="members"),
    path("projects/<slug:slug>/members/<int:pk>/remove/", views.member_remove, name="member_remove"),
]
