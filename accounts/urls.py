"""Pages about oneself; sign-in and the like are allauth's, under /accounts/."""

from django.urls import path

from accounts.views import data, profile, security, sessions, setup

urlpatterns = [
    path("settings/profile", profile.profile, name="profile"),
    path("settings/security", security.security, name="security"),
    path("settings/sessions", sessions.sessions, name="sessions"),
    path(
        "settings/sessions/end-others", sessions.end_others, name="end_other_sessions"
    ),
    path("settings/sessions/<uuid:pk>/end", sessions.end_session, name="end_session"),
    path("settings/avatar", profile.avatar, name="avatar"),
    path("settings/appearance", profile.appearance, name="appearance"),
    path("theme", profile.choose_theme, name="choose_theme"),
    path("settings/language", profile.language, name="language"),
    path("settings/data", data.account_data, name="account_data"),
    path("settings/data/export", data.start_export, name="start_export"),
    path("settings/data/download", data.download_export, name="download_export"),
    path("settings/data/delete", data.delete_account, name="delete_account"),
    path("setup/<str:token>", setup.setup, name="setup"),
]
