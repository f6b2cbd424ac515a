"""How people come: one way for the API, the pages and the set-up link."""

from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.utils import translation

from accounts import audit
from accounts.errors import EmailTaken
from accounts.models import User


def is_open() -> bool:
    """Whether people may make themselves an account."""
    return settings.REGISTRATION == "open"


def register(
    email: str, password: str, *, role: str = User.Role.WORKER, **profile: Any
) -> User:
    """Create a user, who reads the language of the current request.

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
