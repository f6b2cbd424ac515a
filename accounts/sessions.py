"""API sessions: opened by a sign-in, kept alive by refresh tokens, ended by a logout.

Knows nothing of HTTP. Who an access token is, is read in `bearer.py`.
"""

import logging
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken, Token

from accounts.errors import InvalidCredentials, InvalidToken, TokenReused
from accounts.models import Session, SocketTicket, User, digest, session_expiry

audit = logging.getLogger("tertulia.audit")

#: A client that refreshes twice at once sends its old token again within this time: it
#: is refused, but no thief. Whoever comes later with a used token is taken for one.
RACE_WINDOW = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Tokens:
    access: str
    refresh: str
    #: Seconds the access token is good for.
    expires_in: int


def open_session(user: User, *, ip: str = "", user_agent: str = "") -> Tokens:
    """Begin a session of a user who has just proved who they are.

    Raises InvalidCredentials when they were deactivated, deleted or given another
    password in the meantime.
    """
    session = Session(
        user=user,
        ip=ip or None,
        user_agent=user_agent.replace("\0", "")[:300],
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
        session.save(force_insert=True)
    return _pair(refresh)


def rotate(refresh: str, *, ip: str = "", user_agent: str = "") -> Tokens:
    """Exchange a refresh token for a new pair; of any number at once, one succeeds.

    Raises InvalidToken, or TokenReused when the token was exchanged before: its whole
    session is then revoked, except inside RACE_WINDOW.
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
            session.user_agent = user_agent.replace("\0", "")[:300]
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
        if not _is_race(session, refresh):
            session.revoked_at = timezone.now()
            session.save(update_fields=["revoked_at"])
            audit.warning(
                "refresh token reused, session revoked",
                extra={"user": str(session.user_id), "session": str(session.pk)}
                | {"ip": ip},
            )
    # Raised only here, for an exception inside would undo the revocation.
    raise TokenReused


def end(refresh: str) -> None:
    """Revoke the session of a refresh token, whichever of its family; idempotent."""
    try:
        claims = _read(refresh)
    except InvalidToken:
        return
    Session.objects.filter(pk=claims["sid"], user_id=claims["user_id"]).revoke()


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


def _is_race(session: Session, refresh: str) -> bool:
    return (
        session.rotated_at is not None
        and session.previous_hash == digest(refresh)
        and timezone.now() - session.rotated_at < RACE_WINDOW
    )
