"""What the form of each page is sent to succeed, and which forms do not here."""

from collections.abc import Mapping
from typing import Any

from accounts.tests.factories import PASSWORD
from accounts.tests.uploads import picture, upload

NEW_PASSWORD = "another correct horse"

#: Who sends which fields, by the route of the page.
FORMS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "characters/<slug:slug>/start": ("owner", {}),
    "c/<uuid:pk>/messages": ("owner", {"content": "Good evening", "client_id": "a"}),
    "c/<uuid:pk>/rename": ("owner", {"title": "Evenings"}),
    "c/<uuid:pk>/pin": ("owner", {}),
    "c/<uuid:pk>/reset": ("owner", {}),
    "c/<uuid:pk>/delete": ("owner", {}),
    "panel/<uuid:person>/<uuid:pk>/reassign": (
        "supervisor",
        {"to": "bob@example.com", "reason": "Until Monday"},
    ),
    "m/<uuid:pk>/stop": ("owner", {}),
    "m/<uuid:pk>/continue": ("owner", {}),
    "m/<uuid:pk>/regenerate": ("owner", {}),
    "accounts/login/": (
        "anonymous",
        {"login": "alice@example.com", "password": PASSWORD, "next": "/c/"},
    ),
    "accounts/signup/": (
        "anonymous",
        {
            "email": "nora@example.com",
            "password1": PASSWORD,
            "display_name": "Nora",
            "birthdate": "1990-05-17",
        },
    ),
    "accounts/logout/": ("owner", {}),
    "admin/logout/": ("admin", {}),
    "accounts/reauthenticate/": ("owner", {"password": PASSWORD}),
    "accounts/password/change/": (
        "owner",
        {
            "oldpassword": PASSWORD,
            "password1": NEW_PASSWORD,
            "password2": NEW_PASSWORD,
        },
    ),
    "accounts/password/reset/": ("anonymous", {"email": "alice@example.com"}),
    "admin/password_change/": (
        "admin",
        {
            "old_password": PASSWORD,
            "new_password1": NEW_PASSWORD,
            "new_password2": NEW_PASSWORD,
        },
    ),
    "settings/profile": (
        "owner",
        {
            "display_name": "Alice L.",
            "birthdate": "1990-05-17",
            "gender": "female",
            "time_zone": "Europe/Madrid",
        },
    ),
    "settings/avatar": ("owner", {"file": upload(picture())}),
    "settings/language": ("owner", {"language": "es"}),
    "settings/sessions/end-others": ("owner", {}),
    "settings/data/export": ("owner", {}),
    "settings/data/delete": ("owner", {"password": PASSWORD}),
    "theme": ("anonymous", {"theme": "dark", "next": "/docs"}),
    "i18n/setlang/": ("anonymous", {"language": "es", "next": "/docs"}),
    "setup/model": ("admin", {"model": "demo/demo", "leave": "1"}),
}

#: Forms that cannot succeed as things are in the tests of the world, and why.
NOT_ACCEPTED = {
    "accounts/password/set/": "for who has no password",
    "accounts/email/": "leads to the settings",
    r"accounts/^confirm-email/(?P<key>[-:\w]+)/$": "no mail with this key was sent",
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (
        "no mail with this key was sent"
    ),
    r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (
        "no mail with this key was sent"
    ),
    "accounts/login/code/confirm/": "nobody signs in by a code",
    "accounts/2fa/": "leads to the settings",
    "accounts/2fa/webauthn/": "leads to the settings",
    "accounts/2fa/authenticate/": "no second factor is asked for",
    "accounts/2fa/reauthenticate/": "there is no second factor",
    "accounts/2fa/totp/activate/": "the password is asked for first",
    "accounts/2fa/totp/deactivate/": "there is no second factor",
    "accounts/2fa/recovery-codes/generate/": "the password is asked for first",
    "accounts/2fa/recovery-codes/download/": "there is no second factor",
    "accounts/2fa/webauthn/add/": "the password is asked for first",
    "accounts/2fa/webauthn/reauthenticate/": "there is no passkey",
    "accounts/2fa/webauthn/login/": "a passkey has to sign",
    "accounts/2fa/webauthn/keys/<int:pk>/edit/": "the password is asked for first",
    "accounts/2fa/webauthn/keys/<int:pk>/remove/": "the password is asked for first",
    "settings/sessions/<uuid:pk>/end": "nobody has a session of this id",
    "setup/<str:token>": "there is an administrator",
    "admin/login/": "leads to the sign-in page",
}
