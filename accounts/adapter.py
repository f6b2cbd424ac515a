"""How allauth behaves here: one door for pages, the admin site and the API."""

import math
import time
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from allauth.utils import build_absolute_uri
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts import arrivals, audit, passwords, registration
from accounts.authentication import sign_ins
from accounts.errors import InvalidCredentials, Overloaded, RateLimited
from accounts.mfa import second_factor
from accounts.models import Profile, User, normalize_email, validate_email_spelling
from accounts.throttling import client_ip
from accounts.wording import WRONG_PASSWORD


class AccountAdapter(DefaultAccountAdapter):
    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": InvalidCredentials.detail,
        "enter_current_password": WRONG_PASSWORD,
        "incorrect_password": WRONG_PASSWORD,
        "rate_limited": _("Too many requests; wait a minute and try again."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return registration.is_open()

    def clean_email(self, email: str) -> str:
        email = super().clean_email(normalize_email(email))
        validate_email_spelling(email)
        return email

    def send_mail(
        self, template_prefix: str, email: str, context: dict[str, Any]
    ) -> None:
        """Write in the language of whom it is for, whoever asked for it."""
        known = Profile.objects.filter(user__email=normalize_email(email))
        language = known.values_list("language", flat=True).first()
        with translation.override(language or translation.get_language()):
            super().send_mail(template_prefix, email, context)

    def send_account_already_exists_mail(self, email: str) -> None:
        urls = {
            "login_url": reverse("account_login"),
            "password_reset_url": reverse("account_reset_password"),
        }
        self.send_mail(
            "account/email/account_already_exists",
            email,
            {name: build_absolute_uri(self.request, url) for name, url in urls.items()},
        )

    def send_confirmation_mail(
        self, request: HttpRequest, emailconfirmation: Any, signup: bool
    ) -> None:
        address = emailconfirmation.email_address
        context = {
            "is_new": signup,
            "activate_url": self.get_email_confirmation_url(request, emailconfirmation),
            "password_reset_url": build_absolute_uri(
                request, reverse("account_reset_password")
            ),
        }
        self.send_mail("account/email/email_confirmation", address.email, context)

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        return arrivals.sign_in_url(self.request)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return whose credentials these are, counting failures per e-mail.

        Raises RateLimited after too many. An inactive user is returned, too.
        """
        credentials["email"] = normalize_email(credentials.get("email", ""))
        try:
            return super().authenticate(request, **credentials)
        except Overloaded:
            # Nobody looked at the password, so it was no wrong one.
            self._rollback_login_failed_rl_usage()
            raise

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
        # What somebody typed stays for ever, and may be anybody's: of whom nobody knows
        # it is kept what tells one address from another.
        email = credentials["email"]
        user = User.objects.filter(email=email).first()
        if user is not None:
            audit.record("sign_in.failed", of=user)
        else:
            mark = audit.fingerprint(email)
            audit.record("sign_in.failed", fingerprint=mark)

    def pre_login(
        self, request: HttpRequest, user: User, **kwargs: Any
    ) -> HttpResponse | None:
        sign_ins.begin(request, user)
        return super().pre_login(request, user, **kwargs)

    def login(self, request: HttpRequest, user: User) -> None:
        with transaction.atomic():
            if not sign_ins.may_finish(request, user):
                raise ImmediateHttpResponse(sign_ins.start_again(request))
            super().login(request, user)
        used = {
            record["method"] for record in get_authentication_records(request, user)
        }
        if "password" in used and second_factor.is_missing(user):
            # Its set-up comes next, and would ask for the password just typed.
            reauthenticate_by_password(request)
        audit.record("session.opened", actor=user, of=user, via="browser")

    def logout(self, request: HttpRequest) -> None:
        user = request.user
        super().logout(request)
        if isinstance(user, User):
            audit.record("session.signed_out", actor=user, of=user, via="browser")

    def set_password(self, user: User, password: str) -> None:
        # Theirs stores the whole row, as it was before a slow hash was made.
        user.set_password(password)
        user.save(update_fields=["password"])

    def send_password_reset_mail(
        self, user: User, email: str, context: dict[str, Any]
    ) -> None:
        if passwords.may_change(user):
            super().send_password_reset_mail(user, email, context)
        else:
            self.send_mail("account/email/password_reset_closed", email, {})

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
