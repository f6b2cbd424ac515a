"""Refusals: what the product will not do, in words for people and for programs."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


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
        super().__init__(self.detail)

    @property
    def body(self) -> dict[str, object]:
        return {"code": self.code, "detail": self.detail, **self.extra}


class InvalidCredentials(Refusal):
    status = 401
    code = "invalid_credentials"
    detail = _("E-mail and password do not match an account that can sign in.")


class InvalidToken(Refusal):
    status = 401
    code = "invalid_token"
    detail = _("This token is not valid or has expired; sign in again.")


class TokenReused(Refusal):
    status = 401
    code = "token_reused"
    detail = _("This refresh token was used before; use the newest, or sign in again.")


class RegistrationClosed(Refusal):
    status = 403
    code = "registration_closed"
    detail = _("New accounts are made by the operator of this installation.")


class EmailTaken(Refusal):
    code = "invalid"
    detail = _("This e-mail cannot be registered; sign in, or reset your password.")


class BirthdateLocked(Refusal):
    status = 409
    code = "birthdate_locked"
    detail = _("A birthdate is set once; ask the operator to correct it.")


class LastAdmin(Refusal):
    status = 409
    code = "last_admin"
    detail = _("You are the only administrator; make somebody else one first.")


class RateLimited(Refusal):
    """`retry_after` says in how many seconds to come back."""

    status = 429
    code = "rate_limited"

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            _("Too many requests; try again in %(seconds)s seconds.")
            % {"seconds": retry_after},
            retry_after=retry_after,
        )
