"""How allauth.mfa behaves here: what it stores, and that one judge looks at its codes.

What a code is worth is decided in `second_factor.py`.
"""

from typing import Any

from allauth.core import context
from allauth.mfa import signals
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.forms import AuthenticateForm as TheirAuthenticateForm
from allauth.mfa.base.forms import BaseAuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as TheirReauthenticateForm
from allauth.mfa.models import Authenticator
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models.signals import post_save, pre_save

from accounts.authentication.devices import device_of
from accounts.mfa import sealing, second_factor
from accounts.models import User


class MFAAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return sealing.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        # Recovery codes that were shown are only counted any more.
        if encrypted_text.startswith(sealing.MARK):
            return ""
        return sealing.unseal(encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return second_factor.can_remove(authenticator)

    def generate_authenticator_name(
        self, user: AbstractBaseUser, type: Authenticator.Type
    ) -> str:
        return device_of(context.request.headers.get("User-Agent", ""))


class _Judged(BaseAuthenticateForm):
    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        found = second_factor.proof(self.user, code)
        if found is None:
            raise MFAAdapter().validation_error("incorrect_code")
        found.user = self.user
        self.authenticator = found
        return code


class AuthenticateForm(_Judged, TheirAuthenticateForm):
    """The second step of signing in on the page, and so at the admin site."""


class ReauthenticateForm(_Judged, TheirReauthenticateForm):
    """Asked for before something that matters is changed."""


def connect() -> None:
    pre_save.connect(_use_up_first_code, sender=Authenticator)
    post_save.connect(_hide_what_was_seen, sender=Authenticator)
    signals.authenticator_added.connect(_note_added)
    signals.authenticator_removed.connect(_note_removed)
    signals.authenticator_reset.connect(_note_renewed)


def _use_up_first_code(instance: Authenticator, **_signal: Any) -> None:
    # The code that showed that the app is set up is of this step at the latest.
    if instance.type == second_factor.TOTP:
        instance.data.setdefault("used", second_factor.current_step())


def _hide_what_was_seen(instance: Authenticator, **_signal: Any) -> None:
    # The page that notes this shows them from the object it has in its hands. Before
    # that they are encrypted, and open nothing.
    is_codes = instance.type == second_factor.RECOVERY_CODES
    if is_codes and "seed" in instance.data and "viewed_at" in instance.data:
        second_factor.hide_recovery_codes(instance)


def _note_added(user: User, authenticator: Authenticator, **_signal: Any) -> None:
    second_factor.changed(user, f"{_name_of(authenticator)}_added")


def _note_removed(user: User, authenticator: Authenticator, **_signal: Any) -> None:
    second_factor.changed(user, f"{_name_of(authenticator)}_removed")


def _note_renewed(user: User, authenticator: Authenticator, **_signal: Any) -> None:
    second_factor.changed(user, f"{_name_of(authenticator)}_renewed")


def _name_of(authenticator: Authenticator) -> str:
    is_passkey = authenticator.type == second_factor.PASSKEY
    return "passkey" if is_passkey else authenticator.type
