"""The forms of passkeys: what they are called, and what is said of those that fail.

Whether a passkey is right is allauth's to know; static/js/passkeys.js asks the browser
for it.
"""

import struct
from io import BytesIO
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from allauth.mfa.webauthn.internal import auth
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from fido2.webauthn import UserVerificationRequirement
from rest_framework.exceptions import ParseError

from accounts.api.parsing import StrictJSONParser

NAME_LENGTH = 60

#: Several times as long as what any key says. The library that reads it takes time
#: that grows with the square of it.
ANSWER_LENGTH = 20_000

#: What allauth and its library raise of what is no passkey, or not the right one: they
#: read bytes in JSON in bytes, whose types and depth nobody has looked at.
MALFORMED = (
    *(ValidationError, ValueError, TypeError, AttributeError, LookupError),
    *(struct.error, OverflowError, RecursionError),
)


def _is_about_more(error: Exception) -> bool:
    # allauth has one code, and one sentence, for wrong codes and wrong passkeys.
    return isinstance(error, ValidationError) and error.code != "incorrect_code"


class AnswerField(forms.CharField):
    """What a browser says of a passkey: an object in JSON, as the API takes it."""

    widget = forms.HiddenInput

    def clean(self, value: Any) -> dict[str, Any]:
        text = super().clean(value)
        said = self._parsed(text) if len(text) <= ANSWER_LENGTH else None
        # Of an empty one allauth asks nothing, and adds it.
        if not isinstance(said, dict) or not said:
            message = _("What the passkey said cannot be read; try again.")
            raise ValidationError(message, code="invalid")
        return said

    def _parsed(self, text: str) -> Any:
        try:
            return StrictJSONParser().parse(BytesIO(text.encode()))
        except (ParseError, UnicodeEncodeError):
            return None


def _check_as_stored(credential: dict[str, Any]) -> None:
    """Raise what is in MALFORMED for what could not be read once it is stored."""
    kind = Authenticator.Type.WEBAUTHN
    stored = Authenticator(type=kind, data={"credential": credential}).wrap()
    if stored.is_passwordless not in (None, True, False):
        raise ValueError("it does not say whether it stands alone")


class AddPasskeyForm(AddWebAuthnForm):
    credential = AnswerField()
    name = forms.CharField(
        label=_("Name"),
        max_length=NAME_LENGTH,
        required=False,
        help_text=_("So that you know it among others."),
    )
    passwordless = forms.BooleanField(
        label=_("Sign in with it alone"),
        required=False,
        initial=True,
        help_text=_(
            "Without this, the passkey comes after the password. "
            "Leave it out for a security key that has no PIN."
        ),
    )

    def clean(self) -> dict[str, Any]:
        try:
            cleaned = super().clean()
            _check_as_stored(cleaned.get("credential", {}))
            return cleaned
        except MALFORMED as error:
            if _is_about_more(error):
                raise
            message = _("The passkey was not added: it came too late; try again.")
            self.add_error("credential", message)
            return self.cleaned_data


class RenamePasskeyForm(EditWebAuthnForm):
    name = forms.CharField(label=_("Name"), max_length=NAME_LENGTH)


def _opens_nothing() -> ValidationError:
    return ValidationError(_("This passkey opens nothing here."), code="incorrect_code")


class _Checked(AuthenticateWebAuthnForm):
    credential = AnswerField()

    def clean_credential(self) -> Authenticator:
        try:
            return super().clean_credential()
        except MALFORMED as error:
            if _is_about_more(error):
                raise
            raise _opens_nothing() from None


class SignInByPasskeyForm(_Checked, LoginWebAuthnForm):
    """In the place of the password, or of it and a code."""

    def clean_credential(self) -> Authenticator:
        """Return the passkey if it was asked to stand alone, and may.

        After a password touching it is enough; the question that was asked then, of
        whomever, is none that a passkey alone may answer.
        """
        state = auth.get_state() or {}
        authenticator = super().clean_credential()
        needs_person = UserVerificationRequirement.REQUIRED
        if state.get("user_verification") != needs_person:
            raise _opens_nothing()
        if not authenticator.wrap().is_passwordless:
            raise _opens_nothing()
        return authenticator


class PasskeyForm(_Checked, AuthenticateWebAuthnForm):
    """After the password."""


class ReauthenticateByPasskeyForm(_Checked, ReauthenticateWebAuthnForm):
    """Before something that matters is changed."""
