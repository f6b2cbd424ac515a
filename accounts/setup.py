"""The first administrator: made once, by whoever reads the server's console."""

import secrets

from django.db import transaction
from django.urls import reverse

from accounts import audit, registration
from accounts.models import SetupLink, User, digest


def setup_link(public_url: str) -> str | None:
    """Return a new one-time link to make the first administrator, or None with one."""
    if is_set_up():
        return None
    SetupLink.objects.expired().delete()
    token = secrets.token_urlsafe(32)
    SetupLink.objects.create(digest=digest(token))
    return public_url.rstrip("/") + reverse("setup", args=[token])


def is_usable(token: str) -> bool:
    """Whether `token` is of a link that still makes an administrator."""
    links = SetupLink.objects.unexpired()
    return links.filter(digest=digest(token)).exists() and not is_set_up()


def make_first_admin(
    token: str, email: str, password: str, display_name: str = ""
) -> User | None:
    """Create the administrator and forget every link; None if the link is not good.

    Raises EmailTaken when somebody has registered with this address before.
    """
    with transaction.atomic():
        # Whoever locks the links first is the first administrator; the others wait,
        # and then find none.
        unexpired = SetupLink.objects.unexpired().select_for_update()
        if digest(token) not in [link.digest for link in unexpired] or is_set_up():
            return None
        user = registration.register(
            email, password, role=User.Role.ADMIN, display_name=display_name
        )
        SetupLink.objects.all().delete()
        audit.record("setup.administrator_made", actor=user, of=user)
    return user


def is_set_up() -> bool:
    """Whether somebody administers this installation."""
    # Not "any user": while registration is open somebody else may come first.
    return User.objects.filter(role=User.Role.ADMIN, is_active=True).exists()
