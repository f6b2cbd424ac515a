"""Browser sessions: Django keeps them, and allauth's table says whose they are.

A row is written at the sign-in, and again when it is used, at most once a minute.
What else ends together with them is the business of `sessions.py`.
"""

import uuid
from collections.abc import Iterable
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session as StoredSession
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User, digest
from accounts.throttling import client_ip

#: Seconds between two notes of when a session was last used.
SEEN_EVERY = 60
#: What the table has, which takes no null, of a browser whose address is not known.
NO_ADDRESS = "::"

_IDS = uuid.UUID("8a5d0a0e-5f0b-4d5e-9c0e-6f1d4b7f3a11")


def credential_of(session_key: str) -> str:
    """Return the name of a browser session (see `User.credential`), no secret."""
    return f"web:{digest(session_key)}"


def id_of(row: UserSession) -> uuid.UUID:
    """Return the id by which programs know a browser session."""
    return uuid.uuid5(_IDS, str(row.pk))


def begin(request: HttpRequest, user: User) -> None:
    """Note a new sign-in, and forget what is left of the person's ended ones."""
    UserSession.objects.filter(user=user).exclude(session_key__in=_stored()).delete()
    note_use(request, user)


def note_use(request: HttpRequest, user: User) -> None:
    """Note that a session is in use, from where and when; seldom costs a query."""
    key = request.session.session_key
    if not key or not cache.add(f"seen:{credential_of(key)}", True, SEEN_EVERY):
        return
    now = timezone.now()
    seen: dict[str, Any] = {
        "ip": client_ip(request) or NO_ADDRESS,
        "user_agent": request.headers.get("User-Agent", "").replace("\0", "")[:200],
        "last_seen_at": now,
    }
    if not UserSession.objects.filter(session_key=key).update(**seen):
        # Two requests may come first.
        UserSession.objects.bulk_create(
            [UserSession(user=user, session_key=key, created_at=now, **seen)],
            ignore_conflicts=True,
        )


def note_use_of(keys: Iterable[str]) -> None:
    """Note that these sessions are in use, by sockets."""
    rows = UserSession.objects.filter(session_key__in=list(keys))
    rows.update(last_seen_at=timezone.now())


def follow_key(before: str, after: str | None) -> None:
    """Let a session go on under its new key.

    It is forgotten where it has none, or where the key is of another sign-in.
    """
    rows = UserSession.objects.filter(session_key=before)
    if after and not UserSession.objects.filter(session_key=after).exists():
        rows.update(session_key=after)
    else:
        rows.delete()


def live(user: User) -> QuerySet[UserSession]:
    return UserSession.objects.filter(user=user, session_key__in=_stored())


def live_credentials(user_ids: Iterable[uuid.UUID]) -> set[str]:
    """Return the names of the sessions that these users have."""
    rows = UserSession.objects.filter(user__in=user_ids, session_key__in=_stored())
    return {credential_of(key) for key in rows.values_list("session_key", flat=True)}


def end(rows: QuerySet[UserSession]) -> list[str]:
    """End these sessions and return their credentials."""
    keys = list(rows.values_list("session_key", flat=True))
    StoredSession.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return [credential_of(key) for key in keys]


def _stored() -> QuerySet[StoredSession, str]:
    unexpired = StoredSession.objects.filter(expire_date__gt=timezone.now())
    return unexpired.values_list("session_key", flat=True)
