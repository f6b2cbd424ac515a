"""API sessions: opened by a sign-in, kept alive by refresh tokens, ended by a logout.

Also the one way to see and to end the sessions of a person, those of browsers (see
`browsers.py`) included. Knows nothing of HTTP. Who an access token is, is read in
`bearer.py`.
"""

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken, Token

from accounts import audit
from accounts.authentication import browsers, sign_ins
from accounts.authentication.devices import device_of
from accounts.errors import InvalidCredentials, InvalidToken, TokenReused
from accounts.models import (
    Session,
    SessionQuerySet,
    SocketTicket,
    User,
    digest,
    session_expiry,
)
from accounts.signals import sessions_ended

#: A client that refreshes twice at once sends its old token again within this time, and
#: from where it did before: it is refused, but no thief. Whoever comes later, or from
#: elsewhere, with a used token is taken for one.
RACE_WINDOW = timedelta(seconds=10)
#: When a session was last used is noted once a minute, at its next use.
IN_USE_FOR = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Tokens:
    access: str
    refresh: str
    #: Seconds the access token is good for.
    expires_in: int


def open_session(
    user: User, *, basis: str = "", ip: str = "", user_agent: str = ""
) -> Tokens:
    """Begin a session of a user who has just proved who they are.

    Raises InvalidCredentials when they were deactivated, deleted or given another
    password in the meantime; and when anything else has changed on which the sign-in
    rested, if its `basis` is given (see `sign_ins.py`).
    """
    session = Session(
        user=user,
        ip=ip or None,
        user_agent=_storable(user_agent),
        expires_at=session_expiry(),
    )
    refresh = _new_refresh_token(session)
    session.refresh_hash = digest(str(refresh))
    with transaction.atomic():
        # Writing the row orders this sign-in before or after a change of password.
        known = get_user_model().objects.filter(
            pk=user.pk, password=user.password, is_active=True
        )
        if not known.update(last_login=timezone.now()):
            raise InvalidCredentials
        if basis and not sign_ins.still_holds(user, basis):
            raise InvalidCredentials
        session.save(force_insert=True)
    return _pair(refresh)


def rotate(refresh: str, *, ip: str = "", user_agent: str = "") -> Tokens:
    """Exchange a refresh token for a new pair; of any number at once, one succeeds.

    Raises InvalidToken, or TokenReused when the token was exchanged before: its whole
    session is then revoked, unless the client that exchanged it repeats itself (see
    RACE_WINDOW). Either is recorded.
    """
    claims = _read(refresh)
    with transaction.atomic():
        session = (
            Session.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(pk=claims["sid"], user_id=claims["user_id"])
            .first()
        )
        if session is None or not session.is_live:
            raise InvalidToken
        if session.refresh_hash == digest(refresh):
            new = _new_refresh_token(session)
            session.previous_hash = session.refresh_hash
            session.refresh_hash = digest(str(new))
            session.rotated_at = session.last_seen_at = timezone.now()
            session.expires_at = session_expiry()
            session.ip = ip or session.ip
            session.user_agent = _storable(user_agent)
            session.save(
                update_fields=[
                    "previous_hash",
                    "refresh_hash",
                    "rotated_at",
                    "last_seen_at",
                    "expires_at",
                    "ip",
                    "user_agent",
                ]
            )
            return _pair(new)
        if _is_repetition(session, refresh, ip, user_agent):
            audit.record("session.token_repeated", actor=session.user, of=session)
        else:
            _end(session.user_id, Session.objects.filter(pk=session.pk), None)
            audit.record("session.token_reused", actor=session.user, of=session)
    # Raised only here, for an exception inside would undo what was done.
    raise TokenReused


def end(refresh: str) -> None:
    """Revoke the session of a refresh token, whichever of its family; idempotent."""
    try:
        claims = _read(refresh)
    except InvalidToken:
        return
    found = Session.objects.filter(pk=claims["sid"], user_id=claims["user_id"])
    session = found.select_related("user").first()
    if session is not None and found.revoke():
        audit.record(
            "session.signed_out", actor=session.user, of=session.user, via="api"
        )


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Where somebody is signed in: in a browser, or with a program over the API."""

    id: uuid.UUID
    #: "browser" or "api".
    kind: str
    credential: str
    ip: str | None
    user_agent: str
    created_at: datetime
    last_seen_at: datetime

    @property
    def device(self) -> str:
        return device_of(self.user_agent)

    @property
    def is_in_use(self) -> bool:
        """Whether it was used as lately as can be known."""
        return timezone.now() - self.last_seen_at < IN_USE_FOR


def open_sessions(user: User) -> list[OpenSession]:
    """Return where `user` is signed in, the most recently used first."""
    found = [
        OpenSession(
            id=session.pk,
            kind="api",
            credential=session.credential,
            ip=session.ip,
            user_agent=session.user_agent,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
        )
        for session in Session.objects.live().filter(user=user)
    ]
    found += [
        OpenSession(
            id=browsers.id_of(row),
            kind="browser",
            credential=browsers.credential_of(row.session_key),
            ip=row.ip if row.ip != browsers.NO_ADDRESS else None,
            user_agent=row.user_agent,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
        )
        for row in browsers.live(user)
    ]
    return sorted(found, key=lambda session: session.last_seen_at, reverse=True)


def find(user: User, session_id: uuid.UUID) -> OpenSession | None:
    """Return the open session of `user` that programs know by this id."""
    found = (one for one in open_sessions(user) if one.id == session_id)
    return next(found, None)


def end_session(user: User, credential: str) -> bool:
    """End one session of `user`; False when it was not open."""
    kind, _colon, name = credential.partition(":")
    api, rows = None, None
    if kind == "api":
        api = user.api_sessions.filter(pk=name)
    else:
        rows = browsers.live(user)
        keys = [row.session_key for row in rows if _is_of(row, credential)]
        rows = rows.filter(session_key__in=keys)
    return _end(user.pk, api, rows) > 0


def end_all(user: User, keep: str = "") -> int:
    """End every session of `user` but the one `keep` names; return how many.

    The next request of each is refused, its sockets are closed within seconds, and
    what is being written for it stops.
    """
    api, rows = user.api_sessions.all(), UserSession.objects.filter(user=user)
    if not keep:
        return _end(user.pk, api, rows, is_all=True)
    kind, _colon, name = keep.partition(":")
    if kind == "api":
        api = api.exclude(pk=name)
    elif kind == "web":
        kept = [row.session_key for row in rows if _is_of(row, keep)]
        rows = rows.exclude(session_key__in=kept)
    return _end(user.pk, api, rows)


def _is_of(row: UserSession, credential: str) -> bool:
    return browsers.credential_of(row.session_key) == credential


def _end(
    user_id: uuid.UUID,
    api: SessionQuerySet | None,
    rows: QuerySet[UserSession] | None,
    *,
    is_all: bool = False,
) -> int:
    ended: list[str] = []
    with transaction.atomic():
        if api is not None:
            unexpired = api.filter(revoked_at=None, expires_at__gt=timezone.now())
            found = list(unexpired)
            Session.objects.filter(pk__in=[session.pk for session in found]).revoke()
            ended += [session.credential for session in found]
        if rows is not None:
            ended += browsers.end(rows)
        if ended or is_all:
            # Whoever listens locks rows of its own, in an order of its own.
            transaction.on_commit(
                partial(
                    sessions_ended.send_robust,
                    sender=Session,
                    user_id=user_id,
                    credentials=None if is_all else ended,
                )
            )
    return len(ended)


def issue_ticket(session: Session) -> str:
    """Return a one-time ticket for one socket, good for SocketTicket.LIFETIME."""
    SocketTicket.objects.expired().delete()
    ticket = secrets.token_urlsafe(32)
    SocketTicket.objects.create(digest=digest(ticket), session=session)
    return ticket


def claims_of(kind: type[Token], token: str) -> Mapping[str, uuid.UUID]:
    """Return the `sid` and `user_id` a token of our own proves.

    Raises InvalidToken for everything else: expired, forged, of the other kind, or
    issued for another audience.
    """
    try:
        claims = kind(token)  # type: ignore[arg-type]  # their annotation is wrong
        return {name: uuid.UUID(str(claims[name])) for name in ("sid", "user_id")}
    except (TokenError, KeyError, ValueError):
        raise InvalidToken from None


def _read(refresh: str) -> Mapping[str, uuid.UUID]:
    return claims_of(RefreshToken, refresh)


def _new_refresh_token(session: Session) -> RefreshToken:
    token = RefreshToken.for_user(session.user)
    token["sid"] = str(session.pk)
    return token


def _pair(refresh: RefreshToken) -> Tokens:
    return Tokens(
        access=str(refresh.access_token),
        refresh=str(refresh),
        expires_in=int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds()),
    )


def _is_repetition(session: Session, refresh: str, ip: str, user_agent: str) -> bool:
    return (
        session.rotated_at is not None
        and session.previous_hash == digest(refresh)
        and timezone.now() - session.rotated_at < RACE_WINDOW
        # Where the address is not known, it was not known before.
        and (ip or session.ip) == session.ip
        and _storable(user_agent) == session.user_agent
    )


def _storable(user_agent: str) -> str:
    return user_agent.replace("\0", "")[:300]
