"""Who a bearer token is: one check for REST, event streams and sockets.

An access token names its session (`sid`) and is good only while that session lives.
A socket ticket stands for a session once.
"""

from datetime import timedelta

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import AccessToken

from accounts.errors import InvalidToken
from accounts.models import Session, SessionQuerySet, SocketTicket, User, digest
from accounts.sessions import claims_of

#: How exactly `Session.last_seen_at` is kept; every check would cost a write otherwise.
SEEN_EVERY = timedelta(minutes=1)


def session_of(token: str) -> Session | None:
    """Return the live session an access token names, with its user, or None."""
    try:
        claims = claims_of(AccessToken, token)
    except InvalidToken:
        return None
    session = (
        _with_user(Session.objects.live())
        .filter(pk=claims["sid"], user_id=claims["user_id"])
        .first()
    )
    now = timezone.now()
    if session is not None and now - session.last_seen_at >= SEEN_EVERY:
        session.last_seen_at = now
        Session.objects.filter(pk=session.pk).update(last_seen_at=now)
    return session


def redeem_ticket(ticket: str) -> Session | None:
    """Use up a socket ticket and return its live session, or None; only once."""
    tickets = SocketTicket.objects.filter(digest=digest(ticket))
    session = _with_user(Session.objects.live()).filter(tickets__in=tickets).first()
    # Of several that found the ticket, one deletes it.
    deleted, _rows = tickets.unexpired().delete()
    return session if deleted else None


asession_of = sync_to_async(session_of)
aredeem_ticket = sync_to_async(redeem_ticket)


class BearerAuthentication(BaseAuthentication):
    """Authenticate by `Authorization: Bearer`; `request.auth` is the session."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        scheme, _space, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        session = session_of(token.decode("latin-1").strip())
        if session is None:
            raise exceptions.AuthenticationFailed(
                _("This token is not valid or has expired; sign in again.")
            )
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tertulia"'


def signed_in(request: HttpRequest | Request) -> User:
    """Return who asks, of whom a permission or decorator has made sure."""
    assert isinstance(request.user, User)
    return request.user


def _with_user(sessions: SessionQuerySet) -> SessionQuerySet:
    return sessions.select_related("user__profile", "user__plan")
