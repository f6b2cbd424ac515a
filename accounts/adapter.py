"""How allauth behaves here: one door for pages, the admin site and the API."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest

from accounts import registration
from accounts.models import Profile, User, normalize_email
from accounts.throttling import client_ip

logger = logging.getLogger("tertulia.auth")


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return registration.is_open()

    def clean_email(self, email: str) -> str:
        return super().clean_email(normalize_email(email))

    def save_user(
        self, request: HttpRequest, user: User, form: Form, commit: bool = True
    ) -> User:
        """Store who signed up, with the profile every user has."""
        user = super().save_user(request, user, form, commit=False)
        if commit:
            with transaction.atomic():
                user.save()
                Profile.objects.create(
                    user=user,
                    display_name=form.cleaned_data.get("display_name", ""),
                    birthdate=form.cleaned_data.get("birthdate"),
                    language=registration.request_language(),
                )
        return user

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return whose credentials these are, counting failures per address and e-mail.

        Raises a ValidationError after too many. An inactive user is returned, too.
        """
        credentials["email"] = normalize_email(credentials.get("email", ""))
        return super().authenticate(request, **credentials)

    def _get_login_attempts_cache_key(
        self, request: HttpRequest, **credentials: Any
    ) -> str:
        # allauth's own key begins with the host, which the client may choose among
        # ALLOWED_HOSTS and so count from zero again.
        return credentials["email"]

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        logger.warning(
            "sign-in failed",
            extra={"email": credentials.get("email"), "ip": client_ip(request)},
        )

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        logger.info("signed in", extra={"user": str(user.pk), "ip": client_ip(request)})

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request)
