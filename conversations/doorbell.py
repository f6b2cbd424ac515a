"""Tell a user's open sockets that something happened, in this process and others.

A ring says what to look at; it is never the only copy of anything. Who rings does so
after the commit.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from conversations import broker, loop
from conversations.models import Conversation
from conversations.rendering import conversation_json, dumps

Ring = dict[str, Any]
Listener = Callable[[Ring], None]

_listeners: dict[str, set[Listener]] = defaultdict(set)


def listen(user_id: uuid.UUID, listener: Listener) -> Callable[[], None]:
    """Have `listener` called with the user's rings, on the event loop, until the
    returned function is called."""
    key = str(user_id)
    _listeners[key].add(listener)

    def stop() -> None:
        _listeners[key].discard(listener)
        if not _listeners[key]:
            del _listeners[key]

    return stop


def ring(user_id: uuid.UUID, kind: str, **values: Any) -> None:
    """Ring for a user, from any thread; `values` must be JSON."""
    message: Ring = {"user": str(user_id), "kind": kind, **values}
    if (serving := loop.serving()) is None:
        return  # and so nobody listens
    if loop.is_here(serving):
        _send(message)
    else:
        serving.call_soon_threadsafe(_send, message)


def announce(conversation: Conversation) -> None:
    """Tell its owner's sockets that a conversation was changed."""
    ring(
        conversation.user_id,
        "conversation.updated",
        conversation=str(conversation.pk),
        object=json.loads(dumps(conversation_json(conversation))),
    )


def _send(message: Ring) -> None:
    _deliver(message)
    broker.ring(message)


def _deliver(message: Ring) -> None:
    for listener in list(_listeners.get(message.get("user", ""), ())):
        listener(message)


broker.on_ring(_deliver)
