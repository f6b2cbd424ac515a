"""Who a bearer token is: one check for REST, event streams and sockets.

An access token names its session (`sid`) and is good only while that session lives.
A socket ticket stands for a session once. Tokens of other services are read in
`issuers.py`.
"""

from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import AccessToken

from accounts.authentication import issuers
from accounts.authentication.issuers import Visit
from accounts.authentication.sessions import claims_of
from accounts.errors import InvalidToken, TotpSetupRequired
from accounts.mfa import second_factor
from accounts.models import Session, SessionQuerySet, SocketTicket, User, digest

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
    if session is None:
        return None
    session.user.credential = session.credential
    now = timezone.now()
    if now - session.last_seen_at >= SEEN_EVERY:
        session.last_seen_at = now
        Session.objects.filter(pk=session.pk).update(last_seen_at=now)
    return session


def right_of(token: str) -> tuple[User, Session | Visit] | None:
    """Return whom an access token, ours or a foreign one, lets in, and on what.

    Nobody who has to set up a second factor first.
    """
    right = _proved_by(token)
    return right if right and not _is_held_back(*right) else None


def _proved_by(token: str) -> tuple[User, Session | Visit] | None:
    if issuers.is_foreign(token):
        proof = issuers.verified(token)
        return issuers.visitor(proof) if proof else None
    session = session_of(token)
    return (session.user, session) if session else None


def _is_held_back(user: User, on: Session | Visit) -> bool:
    # Who comes with a token of another service did not sign in here.
    return isinstance(on, Session) and second_factor.is_missing(user)


def redeem_ticket(ticket: str) -> Session | None:
    """Use up a socket ticket and return its live session, or None; only once."""
    tickets = SocketTicket.objects.filter(digest=digest(ticket))
    session = _with_user(Session.objects.live()).filter(tickets__in=tickets).first()
    # Of several that found the ticket, one deletes it.
    deleted, _rows = tickets.unexpired().delete()
    if session is None or not deleted or _is_held_back(session.user, session):
        return None
    session.user.credential = session.credential
    return session


class BearerAuthentication(BaseAuthentication):
    """Authenticate by `Authorization: Bearer`; `request.auth` is a session or visit.

    Who has to set up a second factor first is refused, but by views that say
    `before_second_factor`.
    """

    def authenticate(self, request: Request) -> tuple[User, Session | Visit] | None:
        scheme, _space, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        right = _proved_by(token.decode("latin-1").strip())
        if right is None:
            raise exceptions.AuthenticationFailed(
                _("This token is not valid or has expired; sign in again.")
            )
        view = request.parser_context["view"]
        is_open = getattr(view, "before_second_factor", False)
        if not is_open and _is_held_back(*right):
            raise TotpSetupRequired
        return right

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="tertulia"'


def signed_in(request: HttpRequest | Request) -> User:
    """Return who asks, of whom a permission or decorator has made sure."""
    assert isinstance(request.user, User)
    return request.user


def _with_user(sessions: SessionQuerySet) -> SessionQuerySet:
    return sessions.select_related("user__profile", "user__plan")
