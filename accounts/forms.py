"""The forms people fill in about themselves."""

import time
from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from accounts.errors import AvatarTooLarge, AvatarUnreadable, EmailTaken
from accounts.media import avatars
from accounts.models import (
    Profile,
    User,
    normalize_email,
    time_zones,
    validate_birthdate,
)


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self, **attrs: Any) -> None:
        # What browsers send and understand, whatever the language of the page.
        super().__init__(attrs=attrs, format="%Y-%m-%d")


class SignupForm(allauth_forms.SignupForm):
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

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        try:
            return super().try_save(request)
        except IntegrityError:
            # Somebody registered the same address since it was found to be free.
            messages.error(request, EmailTaken.detail)
            return None, redirect("account_login")


class ResetPasswordForm(allauth_forms.ResetPasswordForm):
    """Asks for a link by mail, and takes as long for an e-mail nobody has."""

    #: Seconds, more than finding a user and writing the mail take.
    TAKES = 0.05

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._began = time.monotonic()

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        try:
            return super().save(request, **kwargs)
        finally:
            time.sleep(max(0.0, self._began + self.TAKES - time.monotonic()))

    def clean_email(self) -> str:
        super().clean_email()
        # The spelling in which requests are counted, and the mail is sent.
        return normalize_email(self.cleaned_data["email"])


class ProfileForm(forms.ModelForm):
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=lambda: [
            (name, name.replace("_", " ")) for name in sorted(time_zones())
        ],
    )

    class Meta:
        model = Profile
        fields = ["display_name", "birthdate", "gender", "time_zone"]
        widgets = {
            "display_name": forms.TextInput(attrs={"autocomplete": "nickname"}),
            "birthdate": DateInput(autocomplete="bday"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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
        except (AvatarTooLarge, AvatarUnreadable) as refusal:
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


class SetupForm(forms.Form):
    """Who the first administrator is."""

    email = forms.EmailField(
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

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])

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
    """The password of whoever wants to leave."""

    password = forms.CharField(
        label=_("Your password"),
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_password(self) -> str:
        """Check the password, counting failures; raises RateLimited after too many."""
        password = self.cleaned_data["password"]
        user = self.request.user
        assert isinstance(user, User)
        known = get_adapter().authenticate(
            self.request, email=user.email, password=password
        )
        if known != user:
            raise ValidationError(_("This is not your current password."))
        return password
