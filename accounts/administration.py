"""What administrators change of accounts, at whatever door: the API and the admin site.

Somebody stays administrator whatever happens, and every change is recorded with what
was before. Who may ask is decided by the doors.
"""

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.errors import BeingDeleted, LastAdmin, OwnAccount
from accounts.models import User

#: What is recorded when one of these fields of a user changes.
ACTIONS = {
    "role": "user.role_changed",
    "team": "user.team_changed",
    "plan": "user.plan_changed",
    "daily_units": "user.daily_units_changed",
    "is_active": "user.active_changed",
    "email": "user.email_changed",
}


def change(user: User, *, actor: User | None, via: str, **changes: Any) -> User:
    """Change an account, and return it as it is then.

    `actor` is None for a program with the operator key; `via` names the door. Raises
    LastAdmin, OwnAccount for administrators who would shut themselves out, or
    BeingDeleted.
    """
    with transaction.atomic():
        before = check(user, actor=actor, **changes)
        stored = User.objects.get(pk=user.pk)
        for name in before:
            setattr(stored, name, changes[name])
        if before:
            # Ends the sessions that the change makes wrong.
            stored.save(update_fields=list(before))
        note(stored, before, actor=actor, via=via)
    return stored


def check(user: User, *, actor: User | None, **changes: Any) -> dict[str, Any]:
    """Return what the fields that differ are now, or refuse as `change` does.

    Holds what it looked at until the end of the transaction.
    """
    # Two administrators who demote one another: the second waits, and is the last.
    locked = User.objects.select_for_update(no_key=True)
    admins = locked.filter(role=User.Role.ADMIN, is_active=True).order_by("pk")
    others = {admin.pk for admin in admins} - {user.pk}
    stored = locked.get(pk=user.pk)
    now = {name: getattr(stored, name) for name in changes}
    before = {name: old for name, old in now.items() if old != changes[name]}

    is_admin = stored.role == User.Role.ADMIN and stored.is_active
    is_out = "is_active" in before and not changes["is_active"]
    if is_admin and not others and (is_out or "role" in before):
        raise LastAdmin
    if is_out and actor is not None and actor.pk == user.pk:
        raise OwnAccount
    is_in = "is_active" in before and changes["is_active"]
    if is_in and stored.delete_at is not None and stored.delete_at <= timezone.now():
        raise BeingDeleted  # some of it may be gone by now
    return before


def note(user: User, before: dict[str, Any], *, actor: User | None, via: str) -> None:
    """Record of each field in `before` what it was and what it is."""
    for name, old in before.items():
        audit.record(
            ACTIONS[name],
            actor=actor,
            of=user,
            old=_plain(old),
            new=_plain(getattr(user, name)),
            via=via,
        )


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, str, type(None))) else str(value)
