"""People, what lets them in, and what is kept about what they did."""

from accounts.addresses import normalize_email, validate_email_spelling
from accounts.models.audit import AuditEvent, AuditEventQuerySet
from accounts.models.exports import Export
from accounts.models.profiles import (
    ADULT_AGE,
    Profile,
    offered_time_zones,
    time_zones,
    validate_birthdate,
    validate_time_zone,
)
from accounts.models.sessions import (
    ExternalIdentity,
    Session,
    SessionQuerySet,
    SetupLink,
    SocketTicket,
    TotpSetup,
    digest,
    session_expiry,
)
from accounts.models.users import (
    Plan,
    Team,
    User,
    UserQuerySet,
)

__all__ = [
    "ADULT_AGE",
    "AuditEvent",
    "AuditEventQuerySet",
    "Export",
    "ExternalIdentity",
    "Plan",
    "Profile",
    "Session",
    "SessionQuerySet",
    "SetupLink",
    "SocketTicket",
    "Team",
    "TotpSetup",
    "User",
    "UserQuerySet",
    "digest",
    "normalize_email",
    "offered_time_zones",
    "session_expiry",
    "time_zones",
    "validate_birthdate",
    "validate_email_spelling",
    "validate_time_zone",
]
