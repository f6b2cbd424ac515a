"""Tell a user's open sockets that something happened, in this process and others.

A ring says what to look at; it is never the only copy of anything. Who rings does so
after the commit.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from conversations import broker

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
    """Ring for a user; `values` must be JSON. Called on the event loop."""
    message: Ring = {"user": str(user_id), "kind": kind, **values}
    _deliver(message)
    broker.ring(message)


def _deliver(message: Ring) -> None:
    for listener in list(_listeners.get(message.get("user", ""), ())):
        listener(message)


broker.on_ring(_deliver)
