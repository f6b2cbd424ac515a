"""allauth's forms about the password of who is signed in, or holds a mailed link."""

from allauth.account import forms as allauth_forms
from django.utils.translation import gettext_lazy as _

from accounts.wording import OurWords


class ChangePasswordForm(OurWords, allauth_forms.ChangePasswordForm):
    labels = {
        "oldpassword": _("Current password"),
        "password1": _("New password"),
        "password2": _("New password, once more"),
    }


class SetPasswordForm(OurWords, allauth_forms.SetPasswordForm):
    """For who has none, because another service signs them in."""

    labels = {
        "password1": _("New password"),
        "password2": _("New password, once more"),
    }


class ResetPasswordKeyForm(OurWords, allauth_forms.ResetPasswordKeyForm):
    """Behind a mailed link."""

    labels = {
        "password1": _("New password"),
        "password2": _("New password, once more"),
    }


class ReauthenticateForm(OurWords, allauth_forms.ReauthenticateForm):
    labels = {"password": _("Your password")}
