"""Addresses of accounts under /api/v1/."""

from django.urls import path

from accounts.api import avatars, data, operator, second_factor, sessions, views

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="api_register"),
    path("auth/login", views.LoginView.as_view(), name="api_login"),
    path("auth/refresh", views.RefreshView.as_view(), name="api_refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="api_logout"),
    path("auth/ws-ticket", views.TicketView.as_view(), name="api_ws_ticket"),
    path("admin/users", operator.UsersView.as_view(), name="api_users"),
    path("admin/users/<uuid:pk>", operator.UserView.as_view(), name="api_user"),
    path("admin/users/<uuid:pk>/active", operator.ActiveView.as_view()),
    path("admin/teams", operator.TeamsView.as_view(), name="api_teams"),
    path("admin/audit", operator.AuditView.as_view(), name="api_audit"),
    path("me", views.MeView.as_view(), name="api_me"),
    path("me/avatar", avatars.AvatarView.as_view(), name="api_my_avatar"),
    path("me/export", data.ExportView.as_view(), name="api_export"),
    path(
        "me/export/download",
        data.ExportDownloadView.as_view(),
        name="api_export_download",
    ),
    path("me/sessions", sessions.SessionsView.as_view(), name="api_my_sessions"),
    path("me/sessions/end-others", sessions.EndOthersView.as_view()),
    path("me/sessions/<uuid:pk>", sessions.SessionView.as_view()),
    path("me/totp", second_factor.TotpView.as_view(), name="api_totp"),
    path("me/totp/confirm", second_factor.ConfirmTotpView.as_view()),
    path("me/totp/recovery-codes", second_factor.RecoveryCodesView.as_view()),
    path("me/password", sessions.PasswordView.as_view(), name="api_my_password"),
]
