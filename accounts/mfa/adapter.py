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
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY
from cryptography.fernet import InvalidToken
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models.signals import post_save, pre_save
from django.utils.translation import gettext_lazy as _

from accounts.authentication.devices import device_of
from accounts.errors import InvalidTotp, SecondFactorRequired, TotpDisabled
from accounts.mfa import removal, sealing, second_factor
from accounts.models import User

#: Of the code that is to show that an app is set up: nothing was used before it.
WRONG_FIRST_CODE = _(
    "This code is wrong: take the newest, and check the clock of your phone."
)


class MFAAdapter(DefaultMFAAdapter):
    # The words of the API.
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": InvalidTotp.detail,
        "incorrect_first_code": WRONG_FIRST_CODE,
        "cannot_delete_authenticator": SecondFactorRequired.detail,
        "cannot_generate_recovery_codes": TotpDisabled.detail,
    }

    def encrypt(self, text: str) -> str:
        return sealing.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        # Recovery codes that were shown are only counted any more.
        if encrypted_text.startswith(sealing.MARK):
            return ""
        return sealing.unseal(encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return removal.can_remove(authenticator)

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


class CodeForm(_Judged):
    """Asked for, besides the password, to turn the app off."""


class ActivateForm(ActivateTOTPForm):
    """Asks for the code that shows that an app is set up."""

    secret: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # allauth has found it in the session, or has just made it and put it there.
        try:
            self.secret = sealing.unseal(self.secret)
        except InvalidToken:
            context.request.session[SECRET_SESSION_KEY] = sealing.seal(self.secret)

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        step = second_factor.first_step(self.user, self.secret, code)
        if step is None:
            raise MFAAdapter().validation_error("incorrect_first_code")
        self.user.confirmed_step = step
        return code


def connect() -> None:
    pre_save.connect(_use_up_first_code, sender=Authenticator)
    post_save.connect(_hide_what_was_seen, sender=Authenticator)
    signals.authenticator_added.connect(_note_added)
    signals.authenticator_removed.connect(_note_removed)
    signals.authenticator_reset.connect(_note_renewed)


def _use_up_first_code(instance: Authenticator, **_signal: Any) -> None:
    # Of the code that showed that the app is set up, which may be of the next step.
    if instance.type == second_factor.TOTP:
        step = getattr(instance.user, "confirmed_step", second_factor.current_step())
        instance.data.setdefault("used", step)


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
