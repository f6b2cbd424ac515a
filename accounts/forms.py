"""The forms people fill in about themselves."""

import time
from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from allauth.account.utils import get_next_redirect_url, passthrough_next_redirect_url
from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from accounts import arrivals, passwords, registration, timing, verification
from accounts.authentication.bearer import signed_in
from accounts.data import leaving
from accounts.errors import (
    AvatarTooLarge,
    AvatarUnreadable,
    Overloaded,
    PasswordChangeClosed,
)
from accounts.media import avatars
from accounts.models import (
    Profile,
    User,
    normalize_email,
    offered_time_zones,
    validate_birthdate,
    validate_email_spelling,
)
from accounts.wording import INVALID_EMAIL, OurWords


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self, **attrs: Any) -> None:
        # What browsers send and understand, whatever the language of the page.
        super().__init__(attrs=attrs, format="%Y-%m-%d")


class SignupForm(OurWords, allauth_forms.SignupForm):
    labels = {"email": _("E-mail")}

    display_name = forms.CharField(
        label=_("Display name"),
        max_length=80,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "nickname"}),
    )
    birthdate = forms.DateField(
        label=_("Birthdate"),
        required=False,
        widget=DateInput(autocomplete="bday"),
        validators=[validate_birthdate],
        help_text=_("Characters rated for adults need it; you can add it later."),
    )
    field_order = ["email", "password1", "display_name", "birthdate"]

    def validate_unique_email(self, value: str) -> str:
        # Who has it gets a mail; whoever asks here learns nothing.
        return value

    def try_save(self, request: HttpRequest) -> tuple[None, HttpResponse]:
        """Sign up, and lead everybody the same way: to signing in by themselves."""
        given = self.cleaned_data
        registration.sign_up(
            request,
            given["email"],
            given["password1"],
            display_name=given["display_name"],
            birthdate=given["birthdate"],
        )
        # As it was typed: under that name browsers have kept the password.
        typed = self.data["email"].strip()
        arrivals.note(request, typed, get_next_redirect_url(request))
        if verification.is_required():
            page = "account_email_verification_sent"
            said = _("A mail is on its way to %(email)s.")
        else:
            page = "account_login"
            said = _(
                "Your account is ready: sign in with the password you chose. If you "
                "had an account before, it has kept its old password."
            )
        messages.success(request, said % {"email": typed})
        url = passthrough_next_redirect_url(request, reverse(page), "next")
        return None, redirect(url)


class LoginForm(OurWords, allauth_forms.LoginForm):
    """Filled in for who has just signed up, down to the password."""

    labels = {"login": _("E-mail")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What browsers keep passwords under.
        self.fields["login"].widget.attrs["autocomplete"] = "username"
        if email := arrivals.email(self.request):
            self.fields["login"].initial = email
            self.fields["password"].widget.attrs["autofocus"] = True


class ResetPasswordForm(OurWords, allauth_forms.ResetPasswordForm):
    """Asks for a link by mail, and takes as long for an e-mail nobody has."""

    labels = {"email": _("E-mail")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._began = time.monotonic()

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        with timing.alike(self._began):
            return super().save(request, **kwargs)

    def clean_email(self) -> str:
        super().clean_email()
        # The spelling in which requests are counted, and the mail is sent.
        return normalize_email(self.cleaned_data["email"])


class ResetLinkForm(allauth_forms.UserTokenForm):
    """Tells whose a mailed link is.

    Raises PasswordChangeClosed for who may not choose a password here.
    """

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean()
        if not passwords.may_change(self.reset_user):
            raise PasswordChangeClosed
        return given


class ProfileForm(forms.ModelForm):
    time_zone = forms.ChoiceField(label=_("Time zone"))

    class Meta:
        model = Profile
        fields = ["display_name", "birthdate", "gender", "time_zone"]
        widgets = {
            "display_name": forms.TextInput(attrs={"autocomplete": "nickname"}),
            "birthdate": DateInput(autocomplete="bday"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["gender"].choices = [  # type: ignore[attr-defined]
            ("", _("not said")),
            *Profile.Gender.choices,
        ]
        # What is stored stays as it is, whatever a program has chosen.
        zones = dict.fromkeys([*offered_time_zones(), self.instance.time_zone])
        self.fields["time_zone"].choices = [  # type: ignore[attr-defined]
            (name, name.replace("_", " ")) for name in zones
        ]
        birthdate = self.fields["birthdate"]
        if self.instance.birthdate is None:
            birthdate.help_text = _("It can be set once.")
        else:
            birthdate.disabled = True
            birthdate.help_text = _("Ask the operator if it is wrong.")

    def save(self, commit: bool = True) -> Profile:
        """Store the changes; raises BirthdateLocked as `Profile.edit` does."""
        self.instance.edit(**self.cleaned_data)
        return self.instance


class AvatarForm(forms.Form):
    file = forms.FileField(
        label=_("New picture"),
        help_text=_("JPEG, PNG or WebP; at most 2 MB and 25 megapixels."),
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
    )


class AvatarField(forms.FileField):
    """A picture in the admin site's forms, made an avatar of before it is stored."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        file = super().clean(data, initial)
        if not isinstance(file, UploadedFile):
            return file
        try:
            return avatars.picture(file)
        except (AvatarTooLarge, AvatarUnreadable, Overloaded) as refusal:
            raise ValidationError(refusal.detail, code=refusal.code) from refusal


class LanguageForm(forms.ModelForm):
    language = forms.ChoiceField(
        label=_("Language"),
        # Each in its own words, for who reads no other.
        choices=[
            (code, get_language_info(code)["name_local"].capitalize())
            for code, _name in settings.LANGUAGES
        ],
        widget=forms.RadioSelect,
    )

    class Meta:
        model = Profile
        fields = ["language"]

    def save(self, commit: bool = True) -> Profile:
        self.instance.edit(**self.cleaned_data)
        return self.instance


class AddressField(forms.EmailField):
    """An e-mail in the one spelling in which accounts are stored."""

    default_validators = [*forms.EmailField.default_validators, validate_email_spelling]
    default_error_messages = {"invalid": INVALID_EMAIL}

    def to_python(self, value: Any) -> str:
        return normalize_email(super().to_python(value) or "")


class SetupForm(forms.Form):
    """Who the first administrator is."""

    email = AddressField(
        label=_("E-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    display_name = forms.CharField(
        label=_("Display name"),
        max_length=80,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "nickname"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if password := cleaned.get("password"):
            try:
                get_adapter().clean_password(
                    password, User(email=cleaned.get("email", ""))
                )
            except ValidationError as error:
                self.add_error("password", error)
        return cleaned


class DeletionForm(forms.Form):
    """The password of whoever wants to leave, or the e-mail of who has none."""

    password = forms.CharField(
        label=_("Your password"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    email = forms.CharField(
        label=_("Your e-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user = signed_in(request)
        is_known = self.user.has_usable_password()
        del self.fields["email" if is_known else "password"]
        if not is_known:
            self.fields["email"].help_text = _("Write %(email)s to confirm.") % {
                "email": self.user.email
            }

    def clean(self) -> dict[str, Any]:
        """Check what is asked for; raises RateLimited after too many failures."""
        given = super().clean() or self.cleaned_data
        for proof, value in list(given.items()):
            if not leaving.is_proved(self.request, self.user, proof, value):
                self.add_error(proof, leaving.WRONG[proof])
        return given
