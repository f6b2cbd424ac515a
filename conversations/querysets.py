"""Which conversations and messages somebody may see, and in what order."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from django.db import connections, models

from accounts import access
from accounts.models import User

if TYPE_CHECKING:
    from conversations.models import Conversation, Message  # noqa: F401
from django.db.models.expressions import RawSQL


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def owned_by(self, user: User | AnonymousUser) -> ConversationQuerySet:
        """Keep the user's own; anonymous people have none."""
        return self.filter(user=user) if isinstance(user, User) else self.none()

    def visible_to(self, reader: User | AnonymousUser) -> ConversationQuerySet:
        """Keep those of the people whom `reader` sees (see `accounts/access.py`)."""
        return self.filter(access.seen_by(reader, "user__"))

    def with_unread(self) -> ConversationQuerySet:
        """Add `unread`: how many replies came since the person last looked."""
        from conversations.models import Message

        unread = (
            Message.objects.filter(
                conversation=models.OuterRef("pk"),
                role="assistant",
                created_at__gt=models.OuterRef("last_read_at"),
            )
            .order_by()
            .values("conversation")
            .annotate(n=models.Count("*"))
            .values("n")
        )
        return self.annotate(
            unread=models.functions.Coalesce(
                models.Subquery(unread, output_field=models.IntegerField()), 0
            )
        )


class MessageQuerySet(models.QuerySet["Message"]):
    def owned_by(self, user: User | AnonymousUser) -> MessageQuerySet:
        return (
            self.filter(conversation__user=user)
            if isinstance(user, User)
            else self.none()
        )

    def visible_to(self, reader: User | AnonymousUser) -> MessageQuerySet:
        return self.filter(access.seen_by(reader, "conversation__user__"))

    def branch_ids(self, leaf: uuid.UUID | None, limit: int) -> list[uuid.UUID]:
        """Return up to `limit` ids from `leaf` towards the root, newest first.

        One recursive query that stops after `limit` steps, so it costs the same in
        a conversation of ten messages and of a hundred thousand.
        """
        if leaf is None:
            return []
        with connections[self.db].cursor() as cursor:
            cursor.execute(_BRANCH_IDS, self._at(leaf, limit))
            return [uuid.UUID(str(row[0])) for row in cursor.fetchall()]

    def shown(self, leaf: uuid.UUID | None, limit: int) -> list[Message]:
        """Return the messages of `branch_ids` with how they were generated, oldest
        first."""
        ids = self.branch_ids(leaf, limit)
        found = self.select_related("generation").in_bulk(ids)
        return [found[pk] for pk in reversed(ids) if pk in found]

    def branch(self, leaf: uuid.UUID | None, limit: int) -> list[Message]:
        """Return the messages of `branch_ids`, oldest first, in one query."""
        if leaf is None:
            return []
        return list(self.raw(_BRANCH_MESSAGES, self._at(leaf, limit)))

    def below(self, root: uuid.UUID) -> MessageQuerySet:
        """Keep `root` and everything that follows it, on every branch.

        To be deleted at once: Django would follow a cascade message by message, as
        deep as the conversation is long.
        """
        return self.filter(pk__in=RawSQL(_BELOW, [self._key(root)]))  # noqa: S611

    def _at(self, leaf: uuid.UUID, limit: int) -> list[Any]:
        return [self._key(leaf), limit]

    def _key(self, pk: uuid.UUID) -> Any:
        return self.model._meta.pk.get_db_prep_value(pk, connections[self.db])


_BELOW = """
WITH RECURSIVE below(id) AS (
    SELECT id FROM conversations_message WHERE id = %s
    UNION ALL
    SELECT m.id FROM conversations_message m JOIN below b ON m.parent_id = b.id
)
SELECT id FROM below
"""

_BRANCH = """
WITH RECURSIVE branch(id, parent_id, step) AS (
    SELECT id, parent_id, 1 FROM conversations_message WHERE id = %s
    UNION ALL
    SELECT m.id, m.parent_id, b.step + 1
    FROM conversations_message m JOIN branch b ON m.id = b.parent_id
    WHERE b.step < %s
)
"""

_BRANCH_IDS = (
    _BRANCH
    + """
SELECT id FROM branch ORDER BY step
"""
)

_BRANCH_MESSAGES = (
    _BRANCH
    + """
SELECT m.* FROM branch b JOIN conversations_message m ON m.id = b.id
ORDER BY b.step DESC
"""
)
