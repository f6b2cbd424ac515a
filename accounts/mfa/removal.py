"""Taking second factors away: by their owner, who may need one, or by the operator.

That the last one stays where the policy wants one is decided here, for the pages and
the API; that it is really the owner who asks has been shown before.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.mfa.models import Authenticator
from django.db import transaction

from accounts import audit
from accounts.authentication import sessions
from accounts.errors import SecondFactorRequired, TotpDisabled
from accounts.mail import write_to
from accounts.mfa.second_factor import (
    RECOVERY_CODES,
    TOTP,
    changed,
    factors_of,
    is_enabled,
    is_required,
)
from accounts.models import User


def can_remove(authenticator: Authenticator) -> bool:
    """Whether its owner may do without this one."""
    if authenticator.type == RECOVERY_CODES or not is_required(authenticator.user):
        return True
    return factors_of(authenticator.user).exclude(pk=authenticator.pk).exists()


@contextmanager
def one_at_a_time(user: User) -> Iterator[None]:
    """Let of two removals at once the second see what the first has left."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        yield


def check_totp(user: User) -> Authenticator:
    """Return the app of `user` that may be removed.

    Raises TotpDisabled where there is none, SecondFactorRequired where it has to stay.
    """
    totp = factors_of(user).filter(type=TOTP).first()
    if totp is None:
        raise TotpDisabled
    if not can_remove(totp):
        raise SecondFactorRequired
    return totp


def remove_totp(user: User) -> None:
    """Forget the app, and the recovery codes with it where no passkey is left.

    Raises as `check_totp` does.
    """
    with one_at_a_time(user):
        check_totp(user).delete()
        if not is_enabled(user):
            Authenticator.objects.filter(user=user).delete()
        changed(user, "totp_removed")


def remove_all(user: User, *, actor: User) -> bool:
    """Take everything away, for somebody who lost it; False when there was nothing.

    Ends their sessions, and tells them by mail.
    """
    with one_at_a_time(user):
        count, _rows = Authenticator.objects.filter(user=user).delete()
        if count:
            sessions.end_all(user)
            audit.record("second_factor.removed", actor=actor, of=user)
            write_to(user, "mfa/email/removed_by_operator")
    return count > 0
