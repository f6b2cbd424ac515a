"""The forms people fill in about themselves."""

from typing import Any

from allauth.account import forms as allauth_forms
from allauth.account.adapter import get_adapter
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from accounts.errors import EmailTaken
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


class ProfileForm(forms.ModelForm):
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=lambda: [
            (name, name.replace("_", " ")) for name in sorted(time_zones())
        ],
    )

    class Meta:
        model = Profile
        fields = ["display_name", "birthdate", "gender", "language", "time_zone"]
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
