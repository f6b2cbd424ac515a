"""Which sessions are still good, asked for many sockets at once.

API sessions are rows of ours; browser sessions are Django's, and die with the
password they were opened with.
"""

import uuid
from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user,
)
from django.contrib.sessions.backends.db import SessionStore
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.authentication import browsers
from accounts.mfa import second_factor
from accounts.models import Session, User
from database.rows import Given, Select


def api_user(session_id: uuid.UUID) -> User | None:
    """Return the user of a live API session, with profile and plan."""
    session = _LIVE.first(id=session_id, now=timezone.now())
    if session is None or second_factor.is_missing(session.user):
        return None
    session.user.credential = session.credential
    return session.user


def over(asked: Iterable[tuple[uuid.UUID, str]]) -> set[str]:
    """Return which of these sessions, each a user and a credential, are over.

    At most two queries; "" is no session, and visits are not looked at.
    """
    users_of: dict[str, dict[str, uuid.UUID]] = {"api": {}, "web": {}}
    for user_id, credential in asked:
        users_of.get(credential.partition(":")[0], {})[credential] = user_id
    live: set[str] = set()
    if names := users_of["api"]:
        ids = live_api_sessions(uuid.UUID(name.partition(":")[2]) for name in names)
        live |= {f"api:{pk}" for pk in ids}
    if names := users_of["web"]:
        live |= browsers.live_credentials(names.values())
    return {*users_of["api"], *users_of["web"]} - live


#: What a turn needs to know of its user; every further column costs on each command.
_USED = [
    f"user__{name}"
    for name in (
        "role",
        "is_active",
        "daily_units",
        "plan__daily_units",
        "profile__birthdate",
        "profile__display_name",
        "profile__language",
        "profile__time_zone",
    )
]

_LIVE = Select(
    lambda: (
        Session.objects.live(Given("now", models.DateTimeField()))
        .filter(pk=Given("id", models.UUIDField()))
        .select_related("user__profile", "user__plan")
        .only("user", *_USED)
    )
)


def browser_user(session_key: str) -> User | None:
    """Return the user who is signed in by a browser session, with profile and plan."""
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active:
        return None
    if second_factor.is_missing(user):
        return None
    user.credential = browsers.credential_of(session_key)
    return user


def note_use(ids: Iterable[uuid.UUID], keys: Iterable[str]) -> None:
    """Note that sessions are in use by the sockets they have open."""
    Session.objects.filter(pk__in=list(ids)).update(last_seen_at=timezone.now())
    browsers.note_use_of(keys)


def live_api_sessions(ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Keep the ids of sessions that are still good, in one query."""
    return set(
        Session.objects.live().filter(pk__in=list(ids)).values_list("pk", flat=True)
    )


def live_browser_sessions(keys: Iterable[str]) -> set[str]:
    """Keep the keys of sessions whose user may still use them, in two queries."""
    store = SessionStore()
    rows = store.get_model_class().objects.filter(
        session_key__in=list(keys), expire_date__gt=timezone.now()
    )
    opened = {row.session_key: store.decode(row.session_data) for row in rows}
    users = User.objects.filter(is_active=True).in_bulk(
        {
            uuid.UUID(data[SESSION_KEY])
            for data in opened.values()
            if SESSION_KEY in data
        }
    )
    live = set()
    for key, data in opened.items():
        user = users.get(uuid.UUID(data[SESSION_KEY])) if SESSION_KEY in data else None
        if (
            user is not None
            and data.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
            and constant_time_compare(
                data.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()
            )
        ):
            live.add(key)
    return live
