"""The event loop that serves, found from whatever thread one is in.

Replies are its tasks, and sockets hear of what happens there. Who runs it says so.
"""

import asyncio
from contextlib import suppress

from asgiref.sync import SyncToAsync

_serving: asyncio.AbstractEventLoop | None = None


def serve() -> None:
    """Remember the running loop as the one that serves."""
    global _serving
    _serving = asyncio.get_running_loop()


def is_here(serving: asyncio.AbstractEventLoop) -> bool:
    """Whether this is called by something that runs on that loop."""
    try:
        return asyncio.get_running_loop() is serving
    except RuntimeError:
        return False


def serving() -> asyncio.AbstractEventLoop | None:
    """Return the loop that serves; None where none goes on running (a command)."""
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    loop = _serving or getattr(SyncToAsync.threadlocal, "main_event_loop", None)
    return loop if loop is not None and loop.is_running() else None
