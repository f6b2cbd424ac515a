"""How allauth behaves here: one door for pages, the admin site and the API."""

import math
import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest

from accounts import audit, registration
from accounts.errors import RateLimited
from accounts.models import (
    Profile,
    User,
    normalize_email,
    validate_email_spelling,
)
from accounts.throttling import client_ip


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return registration.is_open()

    def clean_email(self, email: str) -> str:
        email = super().clean_email(normalize_email(email))
        validate_email_spelling(email)
        return email

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
            audit.record("user.registered", actor=user, of=user)
        return user

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return whose credentials these are, counting failures per e-mail.

        Raises RateLimited after too many. An inactive user is returned, too.
        """
        credentials["email"] = normalize_email(credentials.get("email", ""))
        return super().authenticate(request, **credentials)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            raise RateLimited(self._closed_for(request, **credentials)) from None

    def _closed_for(self, request: HttpRequest, **credentials: Any) -> int:
        """Return the seconds until the oldest of too many failures is forgotten."""
        counted = {"app": "allauth.account", "action": "login_failed"}
        (rate,) = ratelimit.get_rates(**counted)
        key = ratelimit.get_cache_key(
            request,
            **counted,
            rate=rate,
            key=self._get_login_attempts_cache_key(request, **credentials),
        )
        failures = cache.get(key) or [time.time()]
        return max(1, math.ceil(failures[-1] + rate.duration - time.time()))

    def _get_login_attempts_cache_key(
        self, request: HttpRequest, **credentials: Any
    ) -> str:
        # allauth's own key begins with the host, which the client may choose among
        # ALLOWED_HOSTS and so count from zero again.
        return credentials["email"]

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        audit.record("sign_in.failed", email=credentials.get("email", "")[:254])

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        audit.record("session.opened", actor=user, of=user, via="browser")

    def logout(self, request: HttpRequest) -> None:
        user = request.user
        super().logout(request)
        if isinstance(user, User):
            audit.record("session.signed_out", actor=user, of=user, via="browser")

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        # allauth has an address only of those who registered on its page.
        super().send_notification_mail(
            template_prefix, user, context, email or user.email
        )

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request)
