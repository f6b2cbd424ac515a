"""The end of an account: asked for, taken back by signing in, carried out later.

Who asks is signed out everywhere. Whoever signs in before the time has come, on the
page or over the API, keeps the account; afterwards it goes with everything in it, piece
by piece, in transactions that stay small. What other applications hold they delete
themselves (`register`).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.core.mail import send_mail
from django.db import connection, transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils import timezone, translation

from accounts import audit
from accounts.authentication import sessions
from accounts.errors import LastAdmin
from accounts.models import User

#: Accounts that one look takes on.
AT_ONCE = 100

#: Deletes a bounded part of what is a user's; False when there was nothing left.
DeleteSome = Callable[[User], bool]
_steps: list[DeleteSome] = []


def register(step: DeleteSome) -> None:
    """Have `step(user)` called, in a transaction each time, until it returns False."""
    _steps.append(step)


def ask(user: User) -> datetime | None:
    """Delete `user` when the days of grace are over; return when, or None if they are.

    Raises LastAdmin for the only administrator while there are other users.
    """
    grace = timedelta(days=settings.DELETION_GRACE_DAYS)
    delete_at = timezone.now() + grace
    with transaction.atomic():
        _lock_admins()
        if _is_last_admin(user):
            raise LastAdmin
        user.delete_at = delete_at
        user.save(update_fields=["delete_at"])
        audit.record(
            "account.deletion_asked", actor=user, of=user, at=delete_at.isoformat()
        )
        sessions.end_all(user)
    _write_to(user, "deletion_asked", delete_at=delete_at if grace else None)
    if grace:
        return delete_at
    carry_out(user)
    return None


def keep(user: User) -> bool:
    """Take the deletion back because `user` signed in; False when none was asked."""
    # Who is not active any more is being deleted, or kept out by the operator.
    asked = User.objects.filter(pk=user.pk, is_active=True, delete_at__isnull=False)
    if user.delete_at is None or not asked.update(delete_at=None):
        return False
    user.delete_at = None
    audit.record("account.kept", actor=user, of=user)
    return True


def sweep() -> int:
    """Delete the accounts whose time has come; return how many are gone."""
    due = User.objects.filter(delete_at__lte=timezone.now()).order_by("delete_at")
    return sum(carry_out(user) for user in list(due[:AT_ONCE]))


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
    return bool(_do(_delete, user))


def _close(user: User) -> bool:
    """Close the door for good, unless the account was kept or is needed."""
    with transaction.atomic():
        _lock_admins()
        due = User.objects.select_for_update().filter(delete_at__lte=timezone.now())
        found = due.filter(pk=user.pk).first()
        if found is None:
            return False
        if not _is_last_admin(found):
            due.filter(pk=user.pk).update(is_active=False)
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


def _write_to(user: User, name: str, **context: object) -> None:
    with (
        translation.override(user.profile.language),
        timezone.override(user.profile.time_zone),
    ):
        context |= {"url": settings.PUBLIC_URL}
        subject = render_to_string(f"accounts/email/{name}_subject.txt", context)
        body = render_to_string(f"accounts/email/{name}_message.txt", context)
    send = partial(send_mail, subject.strip(), body, None, [user.email])
    transaction.on_commit(send, robust=True)
