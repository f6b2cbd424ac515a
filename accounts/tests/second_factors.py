"""Second factors for tests, with the codes a real app would show."""

import time
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
)

from accounts.mfa import second_factor
from accounts.models import User


def code_of(secret: str, ahead: int = 1) -> str:
    """Return the code of a later step than now: that of now is used by the set-up."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))


def wrong(secret: str) -> str:
    """Return six digits that are no code of these minutes."""
    right = {code_of(secret, ahead) for ahead in range(-3, 4)}
    return next(f"{n:06}" for n in range(10) if f"{n:06}" not in right)


def with_app(user: User) -> str:
    """Give `user` an authenticator app as allauth's page does; return its secret."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret


def with_codes(user: User) -> list[str]:
    """Return new recovery codes of `user`."""
    return second_factor.renew_recovery_codes(user)


def with_passkey(user: User, **data: Any) -> Authenticator:
    """Give `user` a passkey that opens nothing here; browser tests have real ones."""
    return Authenticator.objects.create(
        user=user, type=Authenticator.Type.WEBAUTHN, data={"name": "Phone"} | data
    )
