"""Access tokens of other services, as far as the operator accepts them (JWT_ISSUERS).

A token is verified without the database and then stands for a user of ours. It has no
session here: it is good until it expires, and while its user may come in.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jwt
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from accounts import audit
from accounts.api.parsing import UNSTORABLE
from accounts.authentication.handover import hand_over
from accounts.models import (
    ExternalIdentity,
    User,
    digest,
    normalize_email,
    validate_email_spelling,
)

logger = logging.getLogger("tertulia.auth")

#: Seconds by which the clocks of two servers may differ.
LEEWAY = 10
#: No access token is longer; what is would only cost time.
MAX_CHARS = 8_192
#: Seconds to wait for an issuer's published keys, and to leave it alone when it failed:
#: what hangs costs one wait in this time, not one for every request.
KEYS_WITHIN = 4
REST = 15
#: Seconds for which keys are kept, and in which an unknown one is asked for once.
KEYS_KEPT = 300
KEYS_ASKED_EVERY = 10

#: The claims that are seconds since 1970, and the last of year 9998 in such seconds.
_TIMES = {"exp", "nbf", "iat"}
_LAST_TIME = datetime(9999, 1, 1, tzinfo=UTC).timestamp()

Issuer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a good token says: who, to which issuer, until when."""

    issuer: str
    subject: str
    expires_at: datetime
    #: Only one that the issuer does not say is unverified, and that is spelled plainly.
    email: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a foreign token has instead of a session."""

    identity_id: int
    expires_at: datetime


class Unusable(Exception):
    """Why a token is not accepted; for the log, so it quotes nothing of the token."""


def is_foreign(token: str) -> bool:
    """Whether `token` claims to come from an issuer we know; proves nothing."""
    return bool(settings.JWT_ISSUERS) and _issuer_of(token) is not None


def verified(token: str) -> Proof | None:
    """Return what a foreign token proves, or None; may wait KEYS_WITHIN for keys."""
    issuer = _issuer_of(token)
    if issuer is None:
        return None
    try:
        return _read(token, issuer)
    except (
        Unusable,
        jwt.PyJWTError,
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
    ) as error:
        why = str(error) if isinstance(error, Unusable) else error
        cause = {"issuer": issuer["issuer"], "cause": why}
        logger.info("foreign token refused", extra=cause)
        return None


async def averified(token: str) -> Proof | None:
    """Do as `verified` does, in a thread of its own: others must not wait for keys."""
    return await asyncio.to_thread(verified, token)


def visitor(proof: Proof) -> tuple[User, Visit] | None:
    """Return the user a proof stands for, with their profile and plan, and the visit.

    Who comes for the first time is found or made as the operator said. None for nobody,
    and for whom this door is closed: see `_welcome`.
    """
    identity = _known(proof) or _introduced(proof)
    if identity is None:
        logger.info(
            "foreign token of nobody here",
            extra={"issuer": proof.issuer, "subject": proof.subject},
        )
        return None
    user = identity.user
    user.credential = identity.credential
    return user, Visit(identity.pk, proof.expires_at)


def user_on(visit: Visit) -> User | None:
    """Return who is on a visit that is still allowed, with profile and plan."""
    if visit.expires_at <= timezone.now():
        return None
    identity = _with_user().filter(pk=visit.identity_id).first()
    if identity is None:
        return None
    identity.user.credential = identity.credential
    return identity.user


def live_visits(visits: Iterable[Visit]) -> set[Visit]:
    """Keep the visits that are still allowed, in one query."""
    now = timezone.now()
    open_visits = {visit for visit in visits if visit.expires_at > now}
    ids = {visit.identity_id for visit in open_visits}
    welcome = set(_with_user().filter(pk__in=ids).values_list("pk", flat=True))
    return {visit for visit in open_visits if visit.identity_id in welcome}


# What a token says


def _issuer_of(token: str) -> Issuer | None:
    if len(token) > MAX_CHARS:
        return None
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    named = claims.get("iss")
    return next((one for one in settings.JWT_ISSUERS if one["issuer"] == named), None)


def _read(token: str, issuer: Issuer) -> Proof:
    claims = jwt.decode(
        token,
        _key(token, issuer),
        algorithms=issuer["algorithms"],
        audience=issuer["audience"],
        issuer=issuer["issuer"],
        leeway=LEEWAY,
        # Django services number their users; `sub` is read below.
        options={"require": ["exp", "iss", "aud"], "verify_sub": False},
    )
    if claims.get("token_type", "access") != "access":
        raise Unusable("this is no access token")
    if not all(_is_time(claims[name]) for name in _TIMES & claims.keys()):
        raise Unusable("a time in it is none")
    return Proof(
        issuer["issuer"],
        _subject(claims),
        datetime.fromtimestamp(int(claims["exp"]) + LEEWAY, UTC),
        _email(claims),
        _text(claims, "name")[:80],
    )


def _is_time(value: object) -> bool:
    # The library takes whatever int() does, and a calendar ends sooner than numbers.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _LAST_TIME


def _email(claims: dict[str, Any]) -> str:
    email = _text(claims, "email")
    # What people type is folded; to a service that folds nothing ａlice and alice are
    # two people. Capitals are the same everywhere.
    is_plain = email.isascii() and email == email.strip()
    is_verified = claims.get("email_verified", True) is True
    return email if is_plain and is_verified else ""


def _subject(claims: dict[str, Any]) -> str:
    # simplejwt, which Django services use, writes `user_id` where others write `sub`.
    subject = claims.get("sub", claims.get("user_id"))
    if isinstance(subject, bool) or not isinstance(subject, str | int):
        raise Unusable("it names no subject")
    subject = str(subject)
    if not 0 < len(subject) <= 255 or UNSTORABLE.search(subject):
        raise Unusable("its subject cannot be stored")
    return subject


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) and not UNSTORABLE.search(value) else ""


def _key(token: str, issuer: Issuer) -> str | jwt.PyJWK:
    if "key" in issuer:
        return issuer["key"]
    kid = jwt.get_unverified_header(token).get("kid")
    if not isinstance(kid, str):
        raise Unusable("it does not name its key")
    # Knows its own algorithm: a token that names another is refused in `decode`.
    return _keys(issuer["jwks_url"]).get_signing_key(kid)


class _Keys(jwt.PyJWKClient):
    """An issuer's keys; fetched within KEYS_WITHIN, and after a failure not soon."""

    def __init__(self, url: str) -> None:
        super().__init__(
            url,
            lifespan=KEYS_KEPT,
            timeout=KEYS_WITHIN,
            cooldown_duration=KEYS_ASKED_EVERY,
        )
        self._resting_until = 0.0

    def fetch_data(self) -> Any:
        if time.monotonic() < self._resting_until:
            raise jwt.PyJWKClientConnectionError("It failed a moment ago.")
        fetched: Future[Any] = Future()

        def fetch() -> None:
            try:
                fetched.set_result(super(_Keys, self).fetch_data())
            except Exception as error:
                fetched.set_exception(error)

        # The time-out of a socket starts again with every byte that trickles in.
        threading.Thread(target=fetch, daemon=True).start()
        try:
            return fetched.result(KEYS_WITHIN)
        except Exception as error:
            self._resting_until = time.monotonic() + REST
            logger.error(
                "keys of an issuer cannot be had",
                extra={"url": self.uri, "cause": error},
            )
            raise jwt.PyJWKClientConnectionError("The keys cannot be had.") from error


@cache
def _keys(url: str) -> _Keys:
    return _Keys(url)


# Whom it stands for


def _welcome(user: str = "") -> models.Q:
    """Match who may come in by a foreign token.

    No administrator: that right is proved here, with a second factor, and not by
    whoever can sign another service's tokens. Nobody who is deactivated or leaving.
    """
    return models.Q(**{f"{user}is_active": True, f"{user}delete_at": None}) & ~models.Q(
        **{f"{user}role": User.Role.ADMIN}
    )


def _with_user() -> models.QuerySet[ExternalIdentity]:
    admitted = ExternalIdentity.objects.filter(_welcome("user__"), is_refused=False)
    return admitted.select_related("user__profile", "user__plan")


def _known(proof: Proof) -> ExternalIdentity | None:
    known = _with_user().filter(issuer=proof.issuer, subject=proof.subject)
    return known.first()


def _introduced(proof: Proof) -> ExternalIdentity | None:
    """Link the subject to a user by the operator's rule, or return None."""
    if ExternalIdentity.objects.filter(
        issuer=proof.issuer, subject=proof.subject, is_refused=True
    ).exists():
        return None
    issuer = next(one for one in settings.JWT_ISSUERS if one["issuer"] == proof.issuer)
    try:
        with transaction.atomic():
            user = (
                _made(proof, issuer)
                if issuer["user"] == "create"
                else (_matched(proof, issuer))
            )
            if user is None:
                return None
            identity = ExternalIdentity.objects.create(
                user=user, issuer=proof.issuer, subject=proof.subject
            )
            audit.record("identity.linked", of=user, issuer=proof.issuer)
    except IntegrityError:
        # Somebody else has this e-mail; or the same person came twice at once; or who
        # was known before is not welcome any more.
        return _known(proof)
    return _with_user().get(pk=identity.pk)


def _matched(proof: Proof, issuer: Issuer) -> User | None:
    if issuer["claim"] == "sub" or not proof.email:
        return None
    email = normalize_email(proof.email)
    welcome = User.objects.select_for_update(no_key=True).filter(_welcome())
    user = welcome.filter(email=email).first()
    if user is not None:
        hand_over(user, proof.issuer)
    return user


def _made(proof: Proof, issuer: Issuer) -> User | None:
    # Nobody can register or receive mail at .invalid (RFC 2606).
    email = f"{digest(f'{proof.issuer} {proof.subject}')[:32]}@external.invalid"
    if issuer["claim"] == "email":
        email = normalize_email(proof.email)
    try:
        User._meta.get_field("email").clean(email, None)
        validate_email_spelling(email)
    except ValidationError:
        return None
    return User.objects.create_user(email, profile={"display_name": proof.name})
