"""Pages about oneself; sign-in and the like are allauth's, under /accounts/."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("profile", views.profile, name="profile"),
    path("setup/<str:token>", views.setup, name="setup"),
]
