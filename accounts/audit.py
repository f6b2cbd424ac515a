"""What was done to accounts and to other people's things, by whom, from where.

Every event is a row that nobody changes or deletes, and a line in a log.
"""

import logging
from typing import Any

from django.db.models import Model
from django.utils.crypto import salted_hmac

from accounts import origin
from accounts.models import AuditEvent, User

audit_log = logging.getLogger("tertulia.audit")
auth_log = logging.getLogger("tertulia.auth")

#: Who comes and goes stands in a log of its own, which is long.
COMING_AND_GOING = ("session.", "sessions.", "sign_in.")


def fingerprint(email: str) -> str:
    """Return what tells an address from others without naming it.

    Made with SECRET_KEY: who reads the events alone cannot try addresses out.
    """
    return salted_hmac("accounts.audit", email, algorithm="sha256").hexdigest()[:32]


def record(
    action: str, *, actor: User | None = None, of: Model | None = None, **details: Any
) -> None:
    """Note that `actor` did `action` ("user.deactivated") to the object `of`.

    Without an actor it was the system, or somebody who is not signed in. `details`
    are short values; never a secret, a token, a password or what somebody wrote.
    """
    where = origin.current()
    event = AuditEvent.objects.create(
        action=action,
        actor=actor,
        object_type=of._meta.model_name or "" if of else "",
        object_id=str(of.pk) if of else "",
        ip=where.ip or None,
        request_id=where.request_id,
        details=details,
    )
    log = auth_log if action.startswith(COMING_AND_GOING) else audit_log
    log.info(
        action,
        extra={
            "actor": str(actor.pk) if actor else "",
            "object": f"{event.object_type} {event.object_id}".strip(),
            "ip": where.ip,
            "request_id": where.request_id,
            **details,
        },
    )
