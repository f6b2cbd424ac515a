"""What a serving process does beside answering: exports, deletions, what expires.

In a thread and on a connection of its own: neither the event loop nor the threads that
write replies wait for it. Every process does it; the rows say who does what, and what
the end of a process breaks off is begun anew by the next one that looks.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.db import connection

from accounts.data import deletion, exports
from accounts.media import orphans
from database import metrics, threads

logger = logging.getLogger("tertulia.app")

#: Seconds between two looks for something to do.
PAUSE_SECONDS = 2.0
#: Seconds between two looks for what has expired.
SWEEP_SECONDS = 30.0
#: Seconds that the end of the process waits for a piece of work.
END_SECONDS = 1.0
#: Seconds that who asks what waits is made to wait.
PATIENCE_SECONDS = 1.0

_is_over = threading.Event()


_sweeps: list[Callable[[], object]] = [
    deletion.sweep,
    exports.expire,
    orphans.sweep,
]


def register(sweep: Callable[[], object]) -> None:
    """Have `sweep()` called now and then, to delete what has had its time."""
    _sweeps.append(sweep)


def start() -> threading.Thread:
    """Do the chores of this process until `end`."""
    thread = threading.Thread(target=_run, name="chores", daemon=True)
    thread.start()
    return thread


def end(thread: threading.Thread) -> None:
    """Begin nothing more, and wait a little for what is being done."""
    _is_over.set()
    thread.join(END_SECONDS)


def sweep() -> None:
    """Delete what has had its time."""
    for work in _sweeps:
        try:
            work()
        except Exception:
            # The others are not to wait for what this one has met.
            logger.exception("sweep failed", extra={"sweep": work.__module__})


def _waiting() -> dict[tuple[str, ...], float]:
    # A database that is away is waited for longer than who asks waits at all.
    if not threads.is_up():
        return {}
    try:
        return threads.in_time(PATIENCE_SECONDS, _count_waiting)
    except (TimeoutError, *threads.Outage):
        return {}


def _count_waiting() -> dict[tuple[str, ...], float]:
    return {
        ("export",): exports.waiting().count(),
        ("deletion",): deletion.due().count(),
    }


metrics.ask(
    "tertulia_chores_waiting",
    "Exports and deletions that wait for any process to carry them out.",
    _waiting,
    "kind",
)


def _run() -> None:
    swept_at = float("-inf")
    while not _is_over.is_set():
        try:
            exports.recover()
            exports.run_waiting()
            if time.monotonic() - swept_at >= SWEEP_SECONDS:
                sweep()
                swept_at = time.monotonic()
        except Exception:
            # The next look must come, whatever this one met.
            if not _is_over.is_set():
                logger.exception("chores failed")
        finally:
            connection.close()
        _is_over.wait(PAUSE_SECONDS)
