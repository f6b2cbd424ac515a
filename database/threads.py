"""Database work outside of requests: a few threads, each with its connection.

Sockets, followers and the replies themselves all go through here. What takes time in
Python holds the interpreter lock whatever the number of threads; a few let PostgreSQL
bring several commits to the disk at once. What Django does around a request, dropping
connections that died, is done here around each piece of work.
"""

import asyncio
import contextvars
import select
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connection

from database import metrics

T = TypeVar("T")

#: What is raised while the database cannot be reached; not for a statement it refuses.
Outage = (OperationalError, InterfaceError)

#: After so many seconds of silence a connection is tried before it is used.
TRUSTED_SECONDS = 1.0

#: SQLite has one writer at a time, and others would only wait for its lock.
THREADS = {"sqlite": 1, "postgresql": 2}

_outages = metrics.counter(
    "tertulia_database_outages",
    "Work that was given up because the database could not be reached.",
)
_is_up = True

_executor: ThreadPoolExecutor | None = None
_thread = threading.local()


def use_own_threads() -> None:
    """Do the work in threads of its own from now on, as a server does.

    Before, and in tests, it is done where Django does that of its async views.
    """
    global _executor
    if _executor is None:
        count = THREADS.get(connection.vendor, 1)
        _executor = ThreadPoolExecutor(count, thread_name_prefix="database")


async def in_database(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Return `work(*args, **kwargs)`, done in a thread for database work."""
    call = partial(_mending, work, *args, **kwargs)
    if _executor is None:
        return await sync_to_async(call)()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_executor, contextvars.Context().run, call)


def in_time(seconds: float, work: Callable[[], T]) -> T:
    """Return `work()`, for a thread that cannot wait long; raises TimeoutError."""
    if _executor is None:
        return work()
    call = partial(_mending, work)
    done = _executor.submit(contextvars.Context().run, call)
    try:
        return done.result(seconds)
    finally:
        done.cancel()  # what has begun goes on, and nobody minds


def release() -> None:
    """Give this thread's connection back, before an answer that takes long."""
    if not connection.in_atomic_block:
        connection.close()


def is_up() -> bool:
    """Whether the database could be reached when it was last needed.

    Every process that serves needs it every few seconds.
    """
    return _is_up


metrics.ask(
    "tertulia_database_up",
    "Whether the database could be reached when it was last needed: 1 or 0.",
    lambda: float(_is_up),
)


def note_outage() -> None:
    """Count a piece of work, wherever it was done, that met an Outage."""
    global _is_up
    _is_up = False
    _outages.inc()


def _mending(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    global _is_up
    if connection.in_atomic_block:  # a test's transaction
        return work(*args, **kwargs)
    now = time.monotonic()
    if connection.vendor == "postgresql":
        is_old = now - getattr(_thread, "used_at", now) > TRUSTED_SECONDS
        if is_old or _is_told_something():
            connection.close()  # the pool gives one that it has tried
    _thread.used_at = now
    try:
        result = work(*args, **kwargs)
    except Outage:
        connection.close_if_unusable_or_obsolete()
        note_outage()
        raise
    _is_up = True
    return result


def _is_told_something() -> bool:
    """Whether PostgreSQL has sent something unasked: mostly, that it is going.

    Asking the kernel costs a hundredth of asking PostgreSQL.
    """
    opened: Any = connection.connection
    if opened is None or opened.closed:
        return False
    poll = select.poll()
    poll.register(opened.fileno(), select.POLLIN)
    return bool(poll.poll(0))
