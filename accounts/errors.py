"""Refusals: what the product will not do, in words for people and for programs."""

import math

from django.conf import settings
from django.utils.functional import Promise, lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from database import metrics

_refusals = metrics.counter(
    "tertulia_refusals",
    "What was asked for and refused, by a code of docs/api.md.",
    "code",
)


class Refusal(Exception):
    """Something that was asked for and is not done.

    `code` is stable and documented in docs/api.md; `detail` is one sentence a person
    can act on; `status` is the HTTP status; `extra` goes into the body as it is.
    """

    status = 400
    code = "refused"
    detail: str | Promise = ""

    def __init__(self, detail: str | Promise = "", **extra: object) -> None:
        self.detail = str(detail or self.detail)
        self.extra = extra
        _refusals.labels(self.code).inc()
        super().__init__(self.detail)

    @property
    def body(self) -> dict[str, object]:
        return {"code": self.code, "detail": self.detail, **self.extra}


def _no_match() -> str:
    # Of a wrong password and of an address that is not confirmed it says the same.
    if settings.EMAIL_VERIFICATION == "required":
        return gettext(
            "E-mail and password do not match an account that can sign in, or the "
            "address is not confirmed yet: look for our mail."
        )
    return gettext("E-mail and password do not match an account that can sign in.")


class InvalidCredentials(Refusal):
    status = 401
    code = "invalid_credentials"
    detail = lazy(_no_match, str)()


class InvalidToken(Refusal):
    status = 401
    code = "invalid_token"
    detail = _("This token is not valid or has expired; sign in again.")


class TotpRequired(Refusal):
    status = 401
    code = "totp_required"
    detail = _("Send a code of your authenticator app, or a recovery code, as well.")


class InvalidTotp(Refusal):
    status = 401
    code = "invalid_totp"
    detail = _(
        "This code is wrong or was used before: take the newest, check the clock of "
        "your phone, or use a recovery code."
    )


class TokenReused(Refusal):
    status = 401
    code = "token_reused"
    detail = _("This refresh token was used before; use the newest, or sign in again.")


class TotpSetupRequired(Refusal):
    status = 403
    code = "totp_setup_required"
    detail = _("You need a second factor here; set one up first (POST /me/totp).")


class SecondFactorRequired(Refusal):
    status = 403
    code = "second_factor_required"
    detail = _("You need a second factor here; your only one cannot be removed.")


class TotpEnabled(Refusal):
    status = 409
    code = "totp_enabled"
    detail = _("You have an authenticator app already; remove it first.")


class TotpDisabled(Refusal):
    status = 409
    code = "totp_disabled"
    detail = _("You have no second factor; set one up first.")


class TotpNotBegun(Refusal):
    status = 409
    code = "totp_not_begun"
    detail = _("No set-up was begun in the last ten minutes; begin again.")


class NoSession(Refusal):
    status = 403
    code = "no_session"
    detail = _("A token of another service has no session here; use it as it is.")


class NotYours(Refusal):
    """Of what may be read, and is somebody else's; what may not does not exist."""

    status = 403
    code = "permission_denied"
    detail = _("You may read this; only its owner can change it.")


class RegistrationClosed(Refusal):
    status = 403
    code = "registration_closed"
    detail = _("New accounts are made by the operator of this installation.")


class EmailTaken(Refusal):
    """Only said to who sets the site up: nobody else learns who has an account."""

    code = "invalid"
    detail = _("This e-mail cannot be registered; sign in, or reset your password.")


class PasswordChangeClosed(Refusal):
    status = 403
    code = "password_change_closed"
    detail = _("Your password is not changed here; ask the operator how to.")


class BirthdateLocked(Refusal):
    status = 409
    code = "birthdate_locked"
    detail = _("A birthdate is set once; ask the operator to correct it.")


class LastAdmin(Refusal):
    status = 409
    code = "last_admin"
    detail = _("You are the only administrator; make somebody else one first.")


class BeingDeleted(Refusal):
    status = 409
    code = "being_deleted"
    detail = _("This account is being deleted, and nobody can be let into it again.")


class TooLarge(Refusal):
    status = 413
    code = "too_large"
    detail = _("This is more than can be sent at once; send less.")


class AvatarTooLarge(Refusal):
    status = 413
    code = "avatar_too_large"
    detail = _("A picture can have 2 MB; choose a smaller one.")


class AvatarUnreadable(Refusal):
    code = "avatar_unreadable"
    detail = _("This file is not a whole JPEG, PNG or WebP picture; choose another.")


class StorageUnavailable(Refusal):
    status = 503
    code = "storage_unavailable"
    detail = _("Files cannot be stored just now, and nothing is changed; try later.")


class Overloaded(Refusal):
    """More is asked for at once than this process does; `retry_after` in seconds."""

    status = 503
    code = "overloaded"
    detail = _("Too much is going on here at once; try again in a few seconds.")

    def __init__(self) -> None:
        super().__init__(retry_after=5)


class OwnAccount(Refusal):
    status = 409
    code = "own_account"
    detail = _("You cannot shut yourself out; ask another administrator.")


def in_time(seconds: int) -> str:
    """Return how long to wait, in the unit a person would say it in, rounded up."""
    if seconds < 120:
        said = ngettext("%(count)d second", "%(count)d seconds", seconds)
        return said % {"count": seconds}
    if (minutes := math.ceil(seconds / 60)) < 120:
        said = ngettext("%(count)d minute", "%(count)d minutes", minutes)
        return said % {"count": minutes}
    hours = math.ceil(seconds / 3600)
    return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}


class RateLimited(Refusal):
    """`retry_after` says in how many seconds to come back."""

    status = 429
    code = "rate_limited"
    detail = _("Too many requests; try again in a moment.")
    #: What is said instead, where it is known when to come back.
    sentence = _("Too many requests; try again in %(time)s.")

    def __init__(self, retry_after: float) -> None:
        retry_after = math.ceil(retry_after)
        self.retry_after = retry_after
        told = str(self.sentence) % {"time": in_time(retry_after)}
        super().__init__(told, retry_after=retry_after)


class CodesLocked(RateLimited):
    """The same of codes of a second factor, which are locked for minutes."""

    sentence = _(
        "After ten wrong codes none is taken for a while, so that nobody can guess "
        "yours; try again in %(time)s."
    )


class PictureUnderWay(RateLimited):
    """The same of pictures, of which one of a person is made at a time."""

    sentence = _("Your last picture is still being prepared; wait for it.")
