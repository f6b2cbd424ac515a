"""How people come and go: one way for the API, the pages and the set-up link."""

import logging
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.utils import translation

from accounts.errors import EmailTaken, LastAdmin
from accounts.models import User

audit = logging.getLogger("tertulia.audit")


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
        return User.objects.create_user(email, password, role=role, profile=profile)
    except IntegrityError as error:
        raise EmailTaken from error


def request_language() -> str:
    """Return the language of the current request, if it is one of ours."""
    language = (translation.get_language() or "").partition("-")[0]
    return language if language in dict(settings.LANGUAGES) else "en"


def leave(user: User) -> None:
    """Delete a user with everything that is theirs.

    Raises LastAdmin for the only administrator while there are other users.
    """
    others = User.objects.exclude(pk=user.pk)
    is_needed = user.role == User.Role.ADMIN and user.is_active
    if (
        is_needed
        and others.exists()
        and not others.filter(role=User.Role.ADMIN, is_active=True).exists()
    ):
        raise LastAdmin
    audit.info("account deleted by its owner", extra={"user": str(user.pk)})
    user.delete()
