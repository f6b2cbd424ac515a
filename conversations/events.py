"""What happens in a conversation, as values: the same on every transport.

How an event looks on the wire is `rendering.py`'s business. Names and fields are
documented in docs/api.md, and a test compares the two.
"""

import uuid
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in one conversation."""

    type: ClassVar[str]

    conversation_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class ReplyEvent(Event):
    """One step of a reply; `seq` counts its events from 1, without gaps.

    A delta that joins several steps bears the number of the last.
    """

    message_id: uuid.UUID
    seq: int


@dataclass(frozen=True, slots=True)
class ReplyStarted(ReplyEvent):
    type: ClassVar[str] = "reply.started"

    parent_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class ReplyDelta(ReplyEvent):
    type: ClassVar[str] = "reply.delta"

    text: str


@dataclass(frozen=True, slots=True)
class ReplyEnded(ReplyEvent):
    """The last event of a reply, unless somebody continues it."""

    status: str
    finish_reason: str
    usage: dict[str, Any]
    code: str = ""
    detail: str = ""

    @property
    def type(self) -> str:  # type: ignore[override]
        return "reply.finished" if self.status == "complete" else f"reply.{self.status}"


@dataclass(frozen=True, slots=True)
class MessageCreated(Event):
    type: ClassVar[str] = "message.created"

    message: dict[str, Any]
    client_id: str | None


@dataclass(frozen=True, slots=True)
class MessageUpdated(Event):
    type: ClassVar[str] = "message.updated"

    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MessageDeleted(Event):
    type: ClassVar[str] = "message.deleted"

    message_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class ConversationUpdated(Event):
    type: ClassVar[str] = "conversation.updated"

    conversation: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConversationDeleted(Event):
    type: ClassVar[str] = "conversation.deleted"


@dataclass(frozen=True, slots=True)
class Typing(Event):
    type: ClassVar[str] = "typing"

    user_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Read(Event):
    type: ClassVar[str] = "read"

    read_at: str
