"""Addresses of accounts under /api/v1/."""

from django.urls import path

from accounts.api import views

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="api_register"),
    path("auth/login", views.LoginView.as_view(), name="api_login"),
    path("auth/refresh", views.RefreshView.as_view(), name="api_refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="api_logout"),
    path("auth/ws-ticket", views.TicketView.as_view(), name="api_ws_ticket"),
    path("me", views.MeView.as_view(), name="api_me"),
]
