"""The second factor: who has one, who needs one, and whether a code is right.

The one judge for every door: the page, the admin site and the API. A code works once,
in whatever process; wrong ones are counted for all doors together, in the row that is
locked while a code is looked at. Knows nothing of pages; passkeys are checked by
allauth, and `removal.py` takes away.
"""

import logging
import math
import time
from collections.abc import Mapping

from allauth.core.internal.cryptokit import compare_user_code, normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.addresses import is_at
from accounts.authentication import sessions
from accounts.errors import CodesLocked, RateLimited
from accounts.limits import SECOND_FACTOR
from accounts.mfa import sealing
from accounts.models import User
from accounts.throttling import check

logger = logging.getLogger("tertulia.app")

#: So many wrong codes in a row, from wherever, ...
WRONG_CODES = 10
#: ... and for so many seconds no code is looked at.
LOCKED_FOR = 15 * 60

TOTP = Authenticator.Type.TOTP
RECOVERY_CODES = Authenticator.Type.RECOVERY_CODES
PASSKEY = Authenticator.Type.WEBAUTHN


def is_enabled(user: User) -> bool:
    """Whether signing in needs more than the password."""
    return factors_of(user).exists()


def is_required(user: User) -> bool:
    """Whether the operator wants `user` to have one (MFA_REQUIRED_…)."""
    if user.role in settings.MFA_REQUIRED_ROLES:
        return True
    return is_at(user.email, settings.MFA_REQUIRED_DOMAINS)


def is_missing(user: User) -> bool:
    """Whether `user` has to set one up before anything else."""
    return is_required(user) and not is_enabled(user)


def factors_of(user: User) -> QuerySet[Authenticator]:
    """Return what signing in may ask for; recovery codes alone are nothing."""
    return Authenticator.objects.filter(user=user, type__in=(TOTP, PASSKEY))


def has_totp(user: User) -> bool:
    return factors_of(user).filter(type=TOTP).exists()


def state(user: User) -> dict[str, bool | int]:
    """Return what `user` has and needs, as the API shows it."""
    types = list(factors_of(user).values_list("type", flat=True))
    return {
        "is_enabled": bool(types),
        "is_required": is_required(user),
        "has_totp": TOTP in types,
        "passkeys": types.count(PASSKEY),
        "recovery_codes_left": recovery_codes_left(user),
    }


def in_words(user: User) -> str:
    """Return what `user` has, for the operator."""
    types = list(factors_of(user).values_list("type", flat=True))
    if not types:
        missing = _("none; to be set up at the next sign-in")
        return missing if is_required(user) else _("none")
    keys, codes = types.count(PASSKEY), recovery_codes_left(user)
    parts = [
        _("authenticator app") if TOTP in types else "",
        ngettext("%d passkey", "%d passkeys", keys) % keys if keys else "",
        ngettext("%d recovery code", "%d recovery codes", codes) % codes,
    ]
    return ", ".join(filter(None, parts))


def verify(user: User, code: str) -> bool:
    """Whether `code`, of the app or for recovery, is right; used up by that.

    Raises CodesLocked while too many wrong ones keep the door closed.
    """
    return proof(user, code) is not None


def proof(user: User, code: str) -> Authenticator | None:
    """Return what the code is of, or None; otherwise as `verify`."""
    with transaction.atomic():
        with_codes = Authenticator.objects.filter(user=user).exclude(type=PASSKEY)
        locked = with_codes.select_for_update().order_by("pk")
        rows: Mapping[str, Authenticator] = {row.type: row for row in locked}
        counter = rows.get(TOTP) or rows.get(RECOVERY_CODES)
        if counter is None:
            return None
        closed_for = counter.data.get("locked_until", 0) - time.time()
        if closed_for <= 0:
            found = _use(rows, normalize_user_code(code))
            is_last_try = _count(counter, found is not None)
            for row in {counter, found or counter}:
                row.save(update_fields=["data"])
    # Outside, for an exception inside would undo what was counted.
    if closed_for > 0:
        raise CodesLocked(retry_after=math.ceil(closed_for))
    if found is None:
        audit.record("sign_in.wrong_code", of=user)
        if is_last_try:
            audit.record("second_factor.locked", of=user, seconds=LOCKED_FOR)
    return found


def _use(rows: Mapping[str, Authenticator], code: str) -> Authenticator | None:
    totp, recovery = rows.get(TOTP), rows.get(RECOVERY_CODES)
    if totp and (step := _step_of(totp, code)):
        totp.data["used"] = step
        return totp
    if recovery:
        # Codes nobody has seen yet are not among them (see mfa.py).
        left = recovery.data.get("migrated_codes", [])
        used = sealing.fingerprint(code, of=recovery.user_id)
        if used in left:
            left.remove(used)
            return recovery
    return None


def _step_of(totp: Authenticator, code: str) -> int | None:
    """Return the time step the code is of, unless that or a later one was used."""
    try:
        secret = sealing.unseal(totp.data["secret"])
    except InvalidToken:
        logger.error("second factor unreadable: SECRET_KEY was another when it was set")
        return None
    return step_of(secret, code, after=totp.data["used"])


def first_step(user: User, secret: str, code: str) -> int | None:
    """Return the time step of the code that shows that an app is set up, or None.

    Raises CodesLocked after too many, whether on the page or over the API.
    """
    try:
        check(*SECOND_FACTOR, str(user.pk))
    except RateLimited as refusal:
        raise CodesLocked(refusal.retry_after) from None
    return step_of(secret, code)


def step_of(secret: str, code: str, *, after: int = 0) -> int | None:
    """Return the time step after `after` in which `secret` gives this code."""
    for step in yield_hotp_counters_from_time():
        right = format_hotp_value(hotp_value(secret, step))
        if step > after and compare_user_code(actual=code, expected=right):
            return step
    return None


def current_step() -> int:
    return int(time.time()) // app_settings.TOTP_PERIOD


def _count(counter: Authenticator, is_right: bool) -> bool:
    """Count wrong codes until a right one; return whether this closes the door."""
    wrong = 0 if is_right else counter.data.get("wrong", 0) + 1
    is_closed = wrong >= WRONG_CODES
    counter.data["wrong"] = 0 if is_closed else wrong
    counter.data["locked_until"] = time.time() + LOCKED_FOR if is_closed else 0
    return is_closed


def add_totp(user: User, secret: str, *, used: int) -> list[str]:
    """Let an app with `secret` give codes after the step `used`.

    Returns new recovery codes; raises IntegrityError when there is an app already.
    """
    with transaction.atomic():
        data = {"secret": sealing.seal(secret), "used": used}
        Authenticator.objects.create(user=user, type=TOTP, data=data)
        codes = _new_recovery_codes(user)
        changed(user, "totp_added")
    return codes


def renew_recovery_codes(user: User) -> list[str]:
    """Return new recovery codes; the old ones are dead."""
    with transaction.atomic():
        codes = _new_recovery_codes(user)
        changed(user, "recovery_codes_renewed")
    return codes


def recovery_codes_left(user: User) -> int:
    codes = Authenticator.objects.filter(user=user, type=RECOVERY_CODES)
    return left_of(codes.first())


def left_of(codes: Authenticator | None) -> int:
    """Return how many open the door; those that nobody has seen yet do not."""
    return len(codes.data.get("migrated_codes", [])) if codes else 0


def changed(user: User, action: str) -> None:
    """Record a change, and end the sessions that were opened before it but this one."""
    with transaction.atomic():
        # A sign-in that did not see the change has stored its session by then.
        User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
        sessions.end_all(user, keep=user.credential)
    audit.record(f"second_factor.{action}", actor=user, of=user)


def hide_recovery_codes(row: Authenticator) -> None:
    """Keep of the codes made of a seed no more than what recognises them."""
    codes = RecoveryCodes(row).generate_codes()
    prints = _fingerprints(row.user, codes)
    kept = Authenticator.objects.filter(pk=row.pk, data__has_key="seed")
    kept.update(data={"migrated_codes": prints, "viewed_at": row.data["viewed_at"]})


def _new_recovery_codes(user: User) -> list[str]:
    made = Authenticator(
        user=user,
        type=RECOVERY_CODES,
        data={"seed": sealing.seal(RecoveryCodes.generate_seed()), "used_mask": 0},
    )
    codes = RecoveryCodes(made).generate_codes()
    made.data = {
        "migrated_codes": _fingerprints(user, codes),
        "viewed_at": timezone.now().timestamp(),
    }
    # Of two who renew at once, the second waits here.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    Authenticator.objects.filter(user=user, type=RECOVERY_CODES).delete()
    made.save()
    return codes


def _fingerprints(user: User, codes: list[str]) -> list[str]:
    return [sealing.fingerprint(code, of=user.pk) for code in codes]
