"""How people come: one way for the API and the pages, another for the set-up link."""

from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import translation

from accounts import audit, timing, verification
from accounts.errors import EmailTaken
from accounts.models import Profile, User, normalize_email


def is_open() -> bool:
    """Whether people may make themselves an account."""
    return settings.REGISTRATION == "open"


def sign_up(request: HttpRequest, email: str, password: str, **profile: Any) -> Profile:
    """Make an account for whoever asks, who reads the language of the request.

    If there is one nothing changes: it is answered the same after the same time, with a
    profile as it would be that is stored nowhere, and the owner gets a mail.
    """
    email = normalize_email(email)
    profile.setdefault("language", request_language())
    # Slow on purpose, and not to hold a transaction open.
    password = make_password(password)
    with timing.alike():
        with transaction.atomic():
            user, is_new = User.objects.get_or_create(
                email=email, defaults={"password": password}
            )
            if is_new:
                stored = Profile.objects.create(user=user, **profile)
                verification.begin(user)
        if is_new:
            audit.record("user.registered", actor=user, of=user)
        verification.write_to_owner(request, user, is_new=is_new)
    return stored if is_new else Profile(user=User(email=email), **profile)


def register(
    email: str, password: str, *, role: str = User.Role.WORKER, **profile: Any
) -> User:
    """Create a user for who may know that an address is taken.

    Raises EmailTaken when the address is registered, be it in this very moment.
    """
    profile.setdefault("language", request_language())
    try:
        user = User.objects.create_user(email, password, role=role, profile=profile)
    except IntegrityError as error:
        raise EmailTaken from error
    audit.record("user.registered", actor=user, of=user)
    return user


def request_language() -> str:
    """Return the language of the current request, if it is one of ours."""
    language = (translation.get_language() or "").partition("-")[0]
    return language if language in dict(settings.LANGUAGES) else "en"
