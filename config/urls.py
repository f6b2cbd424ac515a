"""Every address of the site."""

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.urls import include, path, re_path
from django.views.decorators.cache import never_cache
from django.views.generic import RedirectView

from accounts.views import authenticator_app, passkeys, passwords, second_step
from config import first_run, views

# What allauth lists on two pages of its own is on the one of the settings.
to_security = login_required(RedirectView.as_view(pattern_name="security"))

urlpatterns = [
    path("", include("characters.urls")),
    path("", include("conversations.urls")),
    # In the place of allauth's own, which know no rule about e-mail domains.
    path("accounts/password/change/", passwords.change_password),
    path("accounts/password/set/", passwords.set_password),
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        passwords.reset_password,
        # Under which its uses are counted (accounts/limits.py).
        name="account_reset_password_from_key",
    ),
    # Nor what happens to an account while somebody is signing in.
    path(
        "accounts/2fa/authenticate/", second_step.second_step, name="mfa_authenticate"
    ),
    # Nor that the last second factor may have to stay, or what is done twice at once.
    path(
        "accounts/2fa/totp/activate/",
        authenticator_app.turn_on_app,
        name="mfa_activate_totp",
    ),
    path(
        "accounts/2fa/totp/deactivate/",
        authenticator_app.turn_off_app,
        name="mfa_deactivate_totp",
    ),
    path(
        "accounts/2fa/webauthn/keys/<int:pk>/remove/",
        passkeys.remove_passkey,
        name="mfa_remove_webauthn",
    ),
    # The sign-in address is the operator's to change.
    path("accounts/email/", to_security, name="account_email"),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", to_security, name="mfa_index"),
    path("accounts/2fa/webauthn/", to_security, name="mfa_list_webauthn"),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    # Before the set-up link, whose token could be any word.
    path("setup/second-factor", first_run.second_factor, name="setup_second_factor"),
    path("setup/model", first_run.model, name="setup_model"),
    path("setup/ready", first_run.ready, name="setup_ready"),
    path("", include("accounts.urls")),
    path("", include("accounts.media.serving")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/v1/", include("config.api_urls")),
    path("docs", views.swagger, name="swagger"),
    path("redoc", views.redoc, name="redoc"),
    path("health", never_cache(views.health), name="health"),
    path("metrics", views.Metrics.as_view(), name="metrics"),
    path("admin/", admin.site.urls),
]

handler400 = "config.views.bad_request"
handler403 = "config.views.permission_denied"
handler404 = "config.views.not_found"
# Not Django's, but allauth's, for too many requests.
handler429 = "accounts.limits.too_many_requests"
handler500 = "config.views.server_error"
