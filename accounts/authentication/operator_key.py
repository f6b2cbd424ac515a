"""The operator key: a program that sends ADMIN_SECRET may do what administrators may.

Where no secret is set the header means nothing. It is nobody's account: what is done
with it is recorded without an actor.
"""

from hashlib import sha256
from hmac import compare_digest

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import audit
from accounts.models import User, digest
from accounts.throttling import check, client_network

HEADER = "X-Admin-Key"
#: Wrong keys from one address; beyond them, right ones are not listened to either.
FAILURES = ("operator_key", "10/5m")


#: Seconds for which reading the same from the same address again is not recorded: what
#: watches over an installation asks several times a minute.
READ_EVERY = 600


class KeyHolder(AnonymousUser):
    """A program with the operator key."""

    is_authenticated = True  # type: ignore[assignment]


class OperatorKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[KeyHolder, None] | None:
        given = request.headers.get(HEADER)
        if given is None or not settings.ADMIN_SECRET:
            return None
        where = client_network(request)
        check(*FAILURES, where, increment=False)
        if not _is_same(given, settings.ADMIN_SECRET):
            check(*FAILURES, where)
            audit.record("operator_key.refused", path=request.path[:200])
            raise exceptions.AuthenticationFailed(
                _("This token is not valid or has expired; sign in again.")
            )
        _note_use(request, where)
        return KeyHolder(), None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tertulia"'


class IsOperator(BasePermission):
    """Whether an administrator asks, or a program with the operator key."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        is_admin = isinstance(user, User) and user.role == User.Role.ADMIN
        return is_admin or isinstance(user, KeyHolder)


def administrator(request: Request) -> User | None:
    """Return who asks, or None for a program with the operator key."""
    return request.user if isinstance(request.user, User) else None


def _note_use(request: Request, where: str) -> None:
    """Record what the key is used for; of what is only read, now and then."""
    if request.method in SAFE_METHODS:
        mark = digest(f"{where} {request.path}")
        if not cache.add(f"operator_key:{mark}", True, READ_EVERY):
            return
    audit.record("operator_key.used", method=request.method, path=request.path[:200])


def _is_same(given: str, secret: str) -> bool:
    # Digests, so that the time tells nothing of the length either.
    return compare_digest(
        *(sha256(text.encode("utf-8", "replace")).digest() for text in (given, secret))
    )
