"""Who has just signed up in this browser, so that the first sign-in is filled in.

Kept in the session: an e-mail in an address would stand in histories and logs. After an
hour it is forgotten, for whoever sits down at the same browser next.
"""

import time

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import normalize_email

KEY = "arrival"
SECONDS = 60 * 60


def note(request: HttpRequest, email: str, destination: str | None = None) -> None:
    """Remember who is to sign in, and where they wanted to go."""
    request.session[KEY] = [email, destination, time.time()]


def note_confirmed(request: HttpRequest, email: str) -> None:
    """Remember whose address was confirmed, and what else was known of them."""
    typed, destination = _noted(request)
    if normalize_email(typed) == email:
        note(request, typed, destination)
    else:
        note(request, email)


def email(request: HttpRequest) -> str:
    """Return what to fill the sign-in page in with, or ""."""
    return _noted(request)[0]


def sign_in_url(request: HttpRequest) -> str:
    """Return the way to the sign-in page, and from there to where they wanted to go."""
    destination = _noted(request)[1]
    query = f"?{urlencode({'next': destination})}" if destination else ""
    return reverse("account_login") + query


def _noted(request: HttpRequest) -> tuple[str, str | None]:
    email, destination, at = request.session.get(KEY, ("", None, 0))
    return (email, destination) if time.time() < at + SECONDS else ("", None)
