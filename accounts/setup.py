"""The first administrator: made once, by whoever reads the server's console."""

import logging
import secrets
from datetime import timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import registration
from accounts.models import SetupLink, User, digest

audit = logging.getLogger("tertulia.audit")

#: A link nobody followed is forgotten at a start this much later. Not at once: two
#: processes that start together print one each, and both must work.
LINK_LIFETIME = timedelta(days=1)


def setup_link(public_url: str) -> str | None:
    """Return a new one-time link to make the first administrator, or None with one."""
    if _is_set_up():
        return None
    SetupLink.objects.filter(created_at__lt=timezone.now() - LINK_LIFETIME).delete()
    token = secrets.token_urlsafe(32)
    SetupLink.objects.create(digest=digest(token))
    return public_url.rstrip("/") + reverse("setup", args=[token])


def is_usable(token: str) -> bool:
    """Whether `token` is of a link that still makes an administrator."""
    return SetupLink.objects.filter(digest=digest(token)).exists() and not _is_set_up()


def make_first_admin(
    token: str, email: str, password: str, display_name: str = ""
) -> User | None:
    """Create the administrator and forget every link; None if the link is not good.

    Raises EmailTaken when somebody has registered with this address before.
    """
    with transaction.atomic():
        # Whoever locks the links first is the first administrator; the others wait,
        # and then find none.
        links = [link.digest for link in SetupLink.objects.select_for_update()]
        if digest(token) not in links or _is_set_up():
            return None
        user = registration.register(
            email, password, role=User.Role.ADMIN, display_name=display_name
        )
        SetupLink.objects.all().delete()
    audit.info("first administrator made", extra={"user": str(user.pk)})
    return user


def _is_set_up() -> bool:
    # Not "any user": while registration is open somebody else may come first.
    return User.objects.filter(role=User.Role.ADMIN, is_active=True).exists()
