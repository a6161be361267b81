"""Addresses of members, invitations and the history."""

from django.urls import path

from annotation.projects import history_views, invitation_views, member_views

urlpatterns = [
    path("projects/<slug:slug>/members/", member_views.members, name="members"),
    path("projects/<slug:slug>/members/<int:pk>/", member_views.member, name="member"),
    path("projects/<slug:slug>/members/<int:pk>/remove/", member_views.member_remove, name="member_remove"),
    path(
        "projects/<slug:slug>/members/<int:pk>/qualification/",
        member_views.member_qualification,
        name="member_qualification",
    ),
    path("projects/<slug:slug>/invitations/", member_views.invitation_new, name="invitation_new"),
    path("projects/<slug:slug>/invitations/<int:pk>/revoke/", member_views.invitation_revoke, name="invitation_revoke"),
    path("join/<str:token>/", invitation_views.join, name="join"),
    path("projects/<slug:slug>/history/", history_views.history, name="history"),
]
