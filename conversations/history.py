"""What a page shows of a conversation: the newest messages of its branch."""

import uuid
from dataclasses import dataclass

from conversations.fragments import SHOWN
from conversations.models import Conversation, Message


@dataclass(frozen=True, slots=True)
class History:
    """Messages of one branch, oldest first, and where the ones before them end."""

    messages: list[Message]
    earlier: uuid.UUID | None = None

    @property
    def is_streaming(self) -> bool:
        return any(message.is_streaming for message in self.messages)

    @property
    def model(self) -> str:
        """The model that wrote the newest reply, as `provider/name`."""
        for message in reversed(self.messages):
            generation = getattr(message, "generation", None)
            if generation is not None and generation.model:
                return str(generation.model)
        return ""

    @property
    def is_demo(self) -> bool:
        return self.model.startswith("demo/")


def newest(
    conversation: Conversation, before: uuid.UUID | None = None, limit: int = SHOWN
) -> History:
    """Return the newest messages, or those that end with the message `before`."""
    leaf = before or conversation.head_id
    messages = Message.objects.shown(leaf, limit)
    is_whole = len(messages) < limit
    return History(messages, None if is_whole else messages[0].parent_id)
