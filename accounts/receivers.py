"""What has to happen wherever somebody signs in or is deleted."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import (
    email_confirmed,
    password_changed,
    password_reset,
    password_set,
)
from allauth.account.signals import user_logged_in as signed_in_by_allauth
from allauth.usersessions import signals as usersessions
from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts import arrivals, audit, verification
from accounts.authentication import browsers, sessions
from accounts.data import deletion
from accounts.media.avatars import discard_on_commit
from accounts.models import Export, User


def begin_browser_session(
    request: HttpRequest | None, user: User, **_signal: Any
) -> None:
    if request is None:
        return
    if request.session.session_key is None:  # that of somebody else was given up
        request.session.save()
    browsers.begin(request, user)


def end_sessions_first(instance: User, **_signal: Any) -> None:
    # Their rows go with the person's; browsers' own and replies have to be ended.
    sessions.end_all(instance)


def keep_account(request: HttpRequest | None, user: User, **_signal: Any) -> None:
    if deletion.keep(user) and request is not None:
        messages.success(
            request, _("You are back: your account is kept, and will not be deleted.")
        )


def delete_export(instance: Export, **_signal: Any) -> None:
    # Rolled back, the row would name a file that is gone.
    discard_on_commit(instance.file.name or "")


def note_new_password(user: User, **_signal: Any) -> None:
    audit.record("user.password_changed", actor=user, of=user, via="page")


def note_reset_password(user: User, **_signal: Any) -> None:
    audit.record("user.password_changed", actor=user, of=user, via="mail")
    verification.confirm(user)


def note_confirmed_email(
    request: HttpRequest, email_address: EmailAddress, **_signal: Any
) -> None:
    user = email_address.user
    audit.record("user.email_confirmed", actor=user, of=user)
    arrivals.note_confirmed(request, email_address.email)


def connect_allauth() -> None:
    password_reset.connect(note_reset_password)
    email_confirmed.connect(note_confirmed_email)
    # Theirs read every session of a person at each sign-in, one by one.
    signed_in_by_allauth.disconnect(usersessions.on_user_logged_in)
    for signal in (password_changed, password_set):
        signal.disconnect(usersessions.on_password_changed)
        signal.connect(note_new_password)
