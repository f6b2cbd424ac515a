"""The end of an account: asked for, taken back by signing in, carried out later.

Who asks is signed out everywhere. Whoever signs in before the time has come, on the
page or over the API, keeps the account; afterwards it goes with everything in it, piece
by piece, in transactions that stay small. Where no days of grace are left, because
there are none or an administrator deletes it, nobody can sign in any more from the
first moment on. It is always the chores that delete (`chores.py`): nobody waits for it.
What other applications hold they delete themselves (`register`).
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.authentication import sessions
from accounts.errors import LastAdmin, OwnAccount
from accounts.mail import write_to
from accounts.media.avatars import discard
from accounts.models import Export, Profile, Session, User
from database.threads import Outage

logger = logging.getLogger("tertulia.app")

#: Accounts that one look takes on.
AT_ONCE = 100

Users = Sequence[User] | QuerySet[User]
#: Deletes a bounded part of what is a user's; False when there was nothing left.
DeleteSome = Callable[[User], bool]
#: What is worth a number to whoever decides whether these users are deleted.
Rows = Callable[[Users], Sequence[QuerySet[Any]]]

_steps: list[DeleteSome] = []
_rows: list[Rows] = []


def register(step: DeleteSome, *, rows: Rows) -> None:
    """Have `step(user)` called, in a transaction each time, until it returns False.

    `rows(users)` are what it deletes, to be counted.
    """
    _steps.append(step)
    _rows.append(rows)


def extent(users: Users) -> dict[str, int]:
    """Return how much goes with `users`, by the name of what it is."""
    found = [User.objects.filter(pk__in=[user.pk for user in users])]
    found += [Session.objects.filter(user__in=users)]
    found += [rows for of in _rows for rows in of(users)]
    return {str(rows.model._meta.verbose_name_plural): rows.count() for rows in found}


def ask(user: User) -> None:
    """Delete `user`, who asked for it, when the days of grace are over (`delete_at`).

    Raises LastAdmin for the only administrator while there are other users.
    """
    _mark(user, timedelta(days=settings.DELETION_GRACE_DAYS), actor=user)
    delete_at = None if is_final(user) else user.delete_at
    _write_to(user, "deletion_asked", delete_at=delete_at)


def remove(user: User, *, actor: User, via: str) -> None:
    """Delete `user`, whom the administrator `actor` does not want here, without grace.

    Raises LastAdmin, and OwnAccount for administrators who would delete themselves.
    """
    if user.pk == actor.pk:
        raise OwnAccount
    _mark(user, timedelta(), actor=actor, via=via)


def is_final(user: User) -> bool:
    """Whether the account of `user` goes, and cannot be kept by signing in."""
    return user.delete_at is not None and not user.is_active


def _mark(user: User, grace: timedelta, *, actor: User, **how: str) -> None:
    delete_at = timezone.now() + grace
    with transaction.atomic():
        _lock_admins()
        if _is_last_admin(user):
            raise LastAdmin
        # Not by `save`, which would end the sessions a second time, nor from what was
        # read before: who was shut out meanwhile stays out.
        out = {} if grace else {"is_active": False}
        User.objects.filter(pk=user.pk).update(delete_at=delete_at, **out)
        user.refresh_from_db(fields=["delete_at", "is_active"])
        audit.record(
            "account.deletion_asked",
            actor=actor,
            of=user,
            at=delete_at.isoformat(),
            **how,
        )
        sessions.end_all(user)


def keep(user: User) -> bool:
    """Take the deletion back because `user` signed in; False when none was asked."""
    # Who is not active any more is being deleted, or kept out by the operator.
    asked = User.objects.filter(
        pk=user.pk, is_active=True, delete_at__gt=timezone.now()
    )
    if user.delete_at is None or not asked.update(delete_at=None):
        return False
    user.delete_at = None
    audit.record("account.kept", actor=user, of=user)
    return True


def due() -> QuerySet[User]:
    """Return the accounts whose time has come."""
    return User.objects.filter(delete_at__lte=timezone.now())


def sweep() -> int:
    """Delete the accounts whose time has come; return how many are gone."""
    first = due().order_by("delete_at")[:AT_ONCE]
    return sum(_try(user) for user in list(first))


def _try(user: User) -> bool:
    try:
        return carry_out(user)
    except Outage:
        raise
    except Exception:
        # The next one is not to wait for what this one has met.
        logger.exception("account not deleted", extra={"user": str(user.pk)})
        return False


def carry_out(user: User) -> bool:
    """Delete `user` with everything; False when that is not, or not yet, to be.

    Begun again where another process, or this one before it ended, left it.
    """
    if not _close(user):
        return False
    for step in _steps:
        while (is_left := _do(step, user)) is not None:
            if not is_left:
                break
        else:
            return False
    return _remove_files(user) and bool(_do(_delete, user))


def _close(user: User) -> bool:
    """Close the door for good, unless the account was kept or is needed."""
    with transaction.atomic():
        _lock_admins()
        mine = due().filter(pk=user.pk)
        found = mine.select_for_update().first()
        if found is None:
            return False
        if not _is_last_admin(found):
            mine.update(is_active=False)
            if found.is_active:
                sessions.end_all(found)
            return True
        found.delete_at = None
        found.save(update_fields=["delete_at"])
        audit.record("account.kept", of=found, because="last_admin")
    _write_to(found, "deletion_refused")
    return False


def _do(step: DeleteSome, user: User) -> bool | None:
    """Do one step; None when another process is at it, or the account is gone."""
    can_skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        mine = User.objects.select_for_update(skip_locked=can_skip)
        found = mine.filter(pk=user.pk, delete_at__lte=timezone.now()).first()
        return step(found) if found else None


def _remove_files(user: User) -> bool:
    """Remove the files of `user`; False while the storage is away.

    Before the rows that name them: nothing would find them again afterwards. Outside of
    a transaction: a slow storage must not hold the rows.
    """
    stored = [
        *Profile.objects.filter(user=user).values_list("avatar", flat=True),
        *Export.objects.filter(user=user).values_list("file", flat=True),
    ]
    return all(discard(name) for name in filter(None, stored))


def _delete(user: User) -> bool:
    # Before, while there is something it is about.
    audit.record("account.deleted", of=user)
    user.delete()
    return True


def _lock_admins() -> None:
    # Two who leave at the same moment must not take each other for the one who stays.
    admins = User.objects.filter(role=User.Role.ADMIN).order_by("pk")
    list(admins.select_for_update().values_list("pk"))


def _is_last_admin(user: User) -> bool:
    others = User.objects.exclude(pk=user.pk)
    is_needed = user.role == User.Role.ADMIN and user.is_active
    return is_needed and others.exists() and not _admins(others).exists()


def _admins(users: QuerySet[User]) -> QuerySet[User]:
    return users.filter(role=User.Role.ADMIN, is_active=True)


def _write_to(user: User, letter: str, **context: object) -> None:
    write_to(user, f"accounts/email/{letter}", url=settings.PUBLIC_URL, **context)
