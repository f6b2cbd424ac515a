"""Whose things a user may see, and whose account they may change: the only rules.

| | sees | changes the accounts of |
|---|---|---|
| an administrator | everyone | everyone |
| a supervisor | the workers of their team, and themself | nobody |
| a worker | themself | nobody |
| who is deactivated or not signed in | nobody | nobody |

To see somebody is to read their conversations and messages. To write in them is the
owner's alone, whatever the role of who asks; supervisors and administrators hand them
from one to another of those they see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q

if TYPE_CHECKING:  # which is made of this
    from accounts.models import User

_NOBODY = Q(pk__in=[])


def seen_by(reader: User | AnonymousUser, whose: str = "") -> Q:
    """Return the condition that the user at the path `whose` is seen by `reader`.

    `whose` leads from the model that is asked for to its user, as in "user__"; empty,
    the model is User itself.
    """
    if isinstance(reader, AnonymousUser) or not reader.is_active:
        return _NOBODY
    themself = Q(**{f"{whose}pk": reader.pk})
    match reader.role:
        case "admin":
            return Q()
        case "supervisor" if reader.team_id is not None:
            team = {f"{whose}team": reader.team_id, f"{whose}role": "worker"}
            return themself | Q(**team)
    return themself


def managed_by(manager: User | AnonymousUser) -> Q:
    """Return the condition that a user's account may be changed by `manager`."""
    if isinstance(manager, AnonymousUser) or not manager.is_active:
        return _NOBODY
    return Q() if manager.role == "admin" else _NOBODY


def sees_others(reader: User | AnonymousUser) -> bool:
    """Whether `reader` has to do with other people's conversations at all."""
    if isinstance(reader, AnonymousUser) or not reader.is_active:
        return False
    return reader.role in ("admin", "supervisor")
