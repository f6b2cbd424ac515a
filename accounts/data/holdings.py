"""What accounts hold about a person, for the archive of `archives.py`.

Never a secret: neither a password nor what only somebody who is signed in has.
"""

from collections.abc import Iterator
from pathlib import PurePath

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.data.archives import (
    Document,
    Row,
    copy,
    facts,
    in_order,
    listing,
    record,
    register,
)
from accounts.models import AuditEvent, User


def account(user: User) -> Iterator[Document]:
    yield record(
        "account.json",
        {
            **facts(user, without=["password"]),
            "team": user.team.name if user.team else None,
            "plan": user.plan.name if user.plan else None,
            "profile": facts(user.profile, without=["user"]),
            "email_addresses": [
                facts(address, without=["user"])
                for address in EmailAddress.objects.filter(user=user)
            ],
            "external_identities": [
                facts(identity, without=["user"])
                for identity in user.external_identities.all()
            ],
            "second_factors": [
                _factor(factor) for factor in Authenticator.objects.filter(user=user)
            ],
            "exports": [
                facts(export, without=["user", "worker"])
                for export in user.exports.all()
            ],
        },
    )


def avatar(user: User) -> Iterator[Document]:
    picture = user.profile.avatar
    if picture and picture.name:
        yield copy(f"avatar{PurePath(picture.name).suffix}", picture)


def sessions(user: User) -> Iterator[Document]:
    api = in_order(user.api_sessions.all(), "created_at")
    hashes = ("refresh_hash", "previous_hash")
    yield listing(
        "sessions/api.json",
        (facts(session, without=["user", *hashes]) for session in api),
    )
    browsers = in_order(UserSession.objects.filter(user=user), "created_at")
    yield listing(
        "sessions/browsers.json",
        (facts(session, without=["user", "session_key"]) for session in browsers),
    )


def events(user: User) -> Iterator[Document]:
    yield listing("events.json", _events(user, _events_about(user)))


def administration(user: User) -> Iterator[Document]:
    entries = in_order(_entries(user), "action_time")
    yield listing(
        "administration.json",
        (
            {**facts(entry, without=["user"]), "by_yourself": entry.user_id == user.pk}
            for entry in entries
        ),
    )


def events_by_others(user: User, found: QuerySet[AuditEvent]) -> Iterator[Row]:
    """Yield those of `found` that somebody else than `user` did."""
    return _events(user, found.exclude(actor_id=user.pk))


def _entries(user: User) -> QuerySet[LogEntry]:
    about = Q(
        content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)
    )
    return LogEntry.objects.filter(Q(user=user) | about)


def _events_about(user: User) -> QuerySet[AuditEvent]:
    about = Q(object_type="user", object_id=str(user.pk))
    return AuditEvent.objects.filter(Q(actor_id=user.pk) | about)


def _events(user: User, found: QuerySet[AuditEvent]) -> Iterator[Row]:
    for event in in_order(found, "at"):
        is_own = event.actor_id == user.pk
        # Who somebody else was, and where, is not theirs to know.
        others = () if is_own else ("actor", "ip", "request_id")
        yield {**facts(event, without=others), "by_yourself": is_own}


def _factor(factor: Authenticator) -> Row:
    named = factor.type == Authenticator.Type.WEBAUTHN
    return {
        **facts(factor, without=["user", "data"]),
        "name": factor.data.get("name", "") if named else "",
    }


def register_all() -> None:
    register(
        "account.json",
        account,
        description=_("Your account, profile, addresses and second factors."),
        count=lambda user: 1,
    )
    register(
        "avatar",
        avatar,
        description=_("Your picture, if there is one."),
        count=lambda user: 1,
    )
    register(
        "sessions/",
        sessions,
        description=_("Where you have been signed in, in browsers and over the API."),
        count=lambda user: user.api_sessions.count(),
    )
    register(
        "events.json",
        events,
        description=_("What was done with your account, and what you did elsewhere."),
        count=lambda user: _events_about(user).count(),
    )
    register(
        "administration.json",
        administration,
        description=_(
            "What the administration site notes of your account, and of what you "
            "changed there, if that is your role."
        ),
        count=lambda user: _entries(user).count(),
    )
