"""Whether those who are told of replies still may be, asked for all at once.

A session may end, and somebody else's reply may no longer be for its reader. What they
are told then, and how, is the business of sockets and event streams.
"""

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from accounts.authentication import issuers, liveness
from accounts.authentication.issuers import Visit
from accounts.models import Session, User
from conversations import access
from database import metrics
from database.threads import Outage, in_database

logger = logging.getLogger("tertulia.app")

WATCH_SECONDS = 2.0
#: How exactly it is known when a session was last used that has something open.
NOTE_SECONDS = 60.0

#: An API session's id, a browser session's key, or a visit on a foreign token.
Credential = uuid.UUID | str | Visit


class Listener(Protocol):
    """Somebody who is told of replies while they are written."""

    #: "json" or "pages" for a socket, "stream" for an answer that takes long.
    kind: str
    user: User
    credential: Credential

    @property
    def of_others(self) -> Collection[uuid.UUID]:
        """The replies they follow in other people's conversations."""

    async def lose_session(self) -> None:
        """Their session is over; called once."""

    async def lose_sight(self, message_id: uuid.UUID) -> None:
        """One of `of_others` is not for them any more."""


_listeners: set[Listener] = set()
_watcher: asyncio.Task[None] | None = None


def _by_listeners_kind() -> dict[tuple[str, ...], float]:
    kinds = Counter(listener.kind for listener in list(_listeners))
    return {(kind,): kinds[kind] for kind in ("json", "pages", "stream")}


metrics.ask(
    "tertulia_connections_open",
    "Open sockets of programs (json) and of pages, and event streams.",
    _by_listeners_kind,
    "kind",
)


def credential_of(right: Session | Visit) -> Credential:
    return right.pk if isinstance(right, Session) else right


def begin(listener: Listener) -> None:
    """Watch over `listener` from now on; called on the event loop."""
    global _watcher
    _listeners.add(listener)
    if _watcher is None or _watcher.done():
        _watcher = asyncio.ensure_future(_watch_until_empty())


def end(listener: Listener) -> None:
    _listeners.discard(listener)


@contextmanager
def over(listener: Listener) -> Iterator[None]:
    """Watch over `listener` for as long as this lasts."""
    begin(listener)
    try:
        yield
    finally:
        end(listener)


async def _watch_until_empty() -> None:
    noted_at = time.monotonic()
    while _listeners:
        await asyncio.sleep(WATCH_SECONDS)
        listeners = list(_listeners)
        held = {listener.credential for listener in listeners}
        followed = {
            (listener.user.pk, message_id)
            for listener in listeners
            for message_id in listener.of_others
        }
        try:
            live, seen = await in_database(_still_allowed, held, followed)
            if time.monotonic() - noted_at >= NOTE_SECONDS:
                noted_at = time.monotonic()
                await in_database(_note_use, live)
        except Outage:
            continue
        except Exception:
            # Without it nobody would be cut off any more.
            logger.exception("sessions could not be looked at")
            continue
        for listener in listeners:
            if listener not in _listeners:
                continue
            if listener.credential not in live:
                end(listener)
                await _tell(listener.lose_session())
                continue
            for message_id in list(listener.of_others):
                pair = (listener.user.pk, message_id)
                # What they follow only since the question was not asked about.
                if pair in followed and pair not in seen:
                    await _tell(listener.lose_sight(message_id))


async def _tell(telling: Awaitable[None]) -> None:
    try:
        await telling
    except Exception as error:
        # A client that left meanwhile; the others are still watched over.
        logger.info("a listener broke off", extra={"cause": error})


def _still_allowed(
    held: set[Credential], followed: set[access.Reading]
) -> tuple[set[Credential], set[access.Reading]]:
    return _live(held), access.still_seen(followed) if followed else set()


def _live(held: set[Credential]) -> set[Credential]:
    ids, keys, visits = _by_kind(held)
    live: set[Credential] = set()
    if ids:
        live |= liveness.live_api_sessions(ids)
    if keys:
        live |= liveness.live_browser_sessions(keys)
    if visits:
        live |= issuers.live_visits(visits)
    return live


def _note_use(live: set[Credential]) -> None:
    ids, keys, _visits = _by_kind(live)
    liveness.note_use(ids, keys)


def _by_kind(
    held: set[Credential],
) -> tuple[set[uuid.UUID], set[str], set[Visit]]:
    return (
        {one for one in held if isinstance(one, uuid.UUID)},
        {one for one in held if isinstance(one, str)},
        {one for one in held if isinstance(one, Visit)},
    )
