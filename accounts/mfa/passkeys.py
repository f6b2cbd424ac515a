"""The forms of passkeys: what they are called, and what is said of those that fail.

Whether a passkey is right is allauth's to know; static/js/passkeys.js asks the browser
for it.
"""

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

NAME_LENGTH = 60


class AddPasskeyForm(AddWebAuthnForm):
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


class RenamePasskeyForm(EditWebAuthnForm):
    name = forms.CharField(label=_("Name"), max_length=NAME_LENGTH)


class _Checked(AuthenticateWebAuthnForm):
    def clean_credential(self) -> Authenticator:
        try:
            return super().clean_credential()
        except ValidationError as error:
            # allauth has one sentence for codes and passkeys.
            if error.code != "incorrect_code":
                raise
            raise ValidationError(
                _("This passkey opens nothing here."), code=error.code
            ) from None


class SignInByPasskeyForm(_Checked, LoginWebAuthnForm):
    """In the place of the password, or of it and a code."""


class PasskeyForm(_Checked, AuthenticateWebAuthnForm):
    """After the password."""


class ReauthenticateByPasskeyForm(_Checked, ReauthenticateWebAuthnForm):
    """Before something that matters is changed."""
