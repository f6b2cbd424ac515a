"""What is held about what a person wrote and used, for their export; and its end.

Usage is kept by `llm`, which knows no accounts.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.data import deletion
from accounts.data.archives import Document, Row, facts, in_order, listing, register
from accounts.data.holdings import events_by_others
from accounts.models import AuditEvent, User
from conversations import retention
from conversations.models import Conversation, Generation, Message
from llm.models import UsageRecord


def conversations(user: User) -> Iterator[Document]:
    yield listing(
        "conversations/conversations.json",
        (
            {**facts(one, without=["user"]), "character_slug": one.character.slug}
            for one in _conversations_of(user)
        ),
    )
    for conversation in _conversations_of(user):
        yield listing(
            f"conversations/messages/{conversation.pk}.json", _messages(conversation)
        )
    yield listing("conversations/looked_at_by_others.json", _looked_at(user))


def usage(user: User) -> Iterator[Document]:
    records = in_order(user.usage_records.all(), "created_at")
    yield listing(
        "usage/records.json", (facts(row, without=["user"]) for row in records)
    )
    days = in_order(user.daily_usage.all(), "date")
    yield listing("usage/days.json", (facts(row, without=["user"]) for row in days))


def delete_some(user: User) -> bool:
    """Delete a bounded part of what `user` wrote; False when there was nothing left."""
    conversation = user.conversations.first()
    if conversation is None:
        return False
    retention.delete_piece(conversation)
    return True


def rows(users: deletion.Users) -> list[QuerySet[Any]]:
    """Return what goes with `users`, to be counted."""
    return [
        Conversation.objects.filter(user__in=users),
        Message.objects.filter(conversation__user__in=users),
        UsageRecord.objects.filter(user__in=users),
    ]


def _conversations_of(user: User) -> Iterator[Conversation]:
    own = Conversation.objects.owned_by(user).select_related("character")
    return in_order(own, "created_at")


def _messages(conversation: Conversation) -> Iterator[Row]:
    rows = conversation.messages.select_related("generation")
    for message in in_order(rows, "created_at"):
        generation = getattr(message, "generation", None)
        yield {
            **facts(message, without=["conversation"]),
            "is_shown_last": message.pk == conversation.head_id,
            "generation": generation and _how(generation),
        }


def _how(generation: Generation) -> Row:
    # Which of our processes wrote it, and in what pieces, says nothing of the person.
    return facts(generation, without=["worker", "heartbeat_at", "lengths"])


def _looked_at(user: User) -> Iterator[Row]:
    """Yield what others did with conversations while they were this person's.

    Also with those that are deleted, or somebody else's, by now.
    """
    me = str(user.pk)
    theirs = Q(details__owner=me) | Q(details__old=me) | Q(details__new=me)
    found = AuditEvent.objects.filter(theirs, object_type="conversation")
    return events_by_others(user, found)


def register_all() -> None:
    register(
        "conversations/",
        conversations,
        description=_(
            "Your conversations, the messages of all their branches with how replies "
            "were written, and when somebody else looked at them."
        ),
        count=lambda user: (
            Message.objects.filter(conversation__user=user).count()
            + 3 * user.conversations.count()
        ),
    )
    register(
        "usage/",
        usage,
        description=_("What every reply cost, and the units of each day."),
        count=lambda user: user.usage_records.count() + user.daily_usage.count(),
    )
    deletion.register(delete_some, rows=rows)
