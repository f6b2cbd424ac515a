"""Carry flushes, rings and stops between processes, through Redis.

Best effort by design: nothing here is the only copy of anything, nothing waits for
Redis, and without REDIS_URL all of it is a no-op. Followers notice a gap by the
sequence numbers and read the database instead.
"""

import asyncio
import json
import logging
import uuid
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = logging.getLogger("tertulia.app")

PREFIX = "tertulia:"
BELL = PREFIX + "bell"

#: A stream outlives its last flush by this many seconds.
STREAM_TTL = 900
#: What waits for a Redis that does not answer; beyond it the oldest is dropped.
BACKLOG = 10_000
RETRY_SECONDS = 1.0
#: How long one read waits for something new.
BLOCK_SECONDS = 5

#: The number of the first event, the texts of it and those after it, whether it ends.
Entry = tuple[int, list[str], bool]
Ring = dict[str, Any]


def append(
    message_id: uuid.UUID, seq: int, text: str, *, is_last: bool = False
) -> None:
    """Tell other processes of event number `seq` of a reply."""
    if _broker:
        _broker.send_append(message_id, seq, text, is_last)


def ring(message: Ring) -> None:
    """Tell other processes that something happened; the values must be JSON."""
    if _broker:
        _broker.send_ring(message)


def on_ring(callback: Callable[[Ring], None]) -> None:
    """Have `callback` called on the event loop with every ring of other processes."""
    _callbacks.append(callback)


def connect() -> None:
    """Begin to send and to listen, in the running event loop, as a server does."""
    global _broker
    if settings.REDIS_URL:
        _broker = Broker()


class Entries:
    """What one follower has not read yet of a reply written elsewhere."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Entry] = asyncio.Queue()

    def put(self, entry: Entry) -> None:
        self._queue.put_nowait(entry)

    async def next(self, silence: float) -> Entry | None:
        """Return the next entry, or None after so many seconds without any."""
        try:
            async with asyncio.timeout(silence):
                return await self._queue.get()
        except TimeoutError:
            return None


@contextmanager
def subscription(message_id: uuid.UUID) -> Iterator[Entries]:
    """Receive the entries of a reply, from the first that Redis still has."""
    entries, broker = Entries(), _broker
    if broker is None:
        yield entries
        return
    broker.subscribe(message_id, entries)
    try:
        yield entries
    finally:
        broker.unsubscribe(message_id, entries)


_callbacks: list[Callable[[Ring], None]] = []
_broker: "Broker | None" = None


class Broker:
    """One process's connections to Redis: a writer, a bell, and a stream reader."""

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex
        self._outbox: deque[tuple[str, bytes]] = deque(maxlen=BACKLOG)
        self._has_mail = asyncio.Event()
        self._followers: dict[str, set[Entries]] = defaultdict(set)
        self._read_up_to: dict[Any, Any] = {}
        self._wake_key = f"{PREFIX}wake:{self.name}"
        self._writer = Redis.from_url(
            settings.REDIS_URL, socket_timeout=3, socket_connect_timeout=3
        )
        # Reading waits BLOCK_SECONDS by design; a connection that is silent for
        # longer has been lost without a word.
        self._reader = Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=3 * BLOCK_SECONDS,
            socket_connect_timeout=3,
            health_check_interval=BLOCK_SECONDS,
        )
        self._tasks = [
            asyncio.ensure_future(self._forever(work))
            for work in (self._write, self._listen, self._read)
        ]

    def send_append(
        self, message_id: uuid.UUID, seq: int, text: str, is_last: bool
    ) -> None:
        entry = json.dumps([seq, [text], is_last]).encode()
        self._outbox.append((_stream_key(message_id), entry))
        self._has_mail.set()

    def send_ring(self, message: Ring) -> None:
        self._outbox.append((BELL, json.dumps({**message, "from": self.name}).encode()))
        self._has_mail.set()

    def subscribe(self, message_id: uuid.UUID, entries: Entries) -> None:
        key = _stream_key(message_id)
        self._followers[key].add(entries)
        # From the beginning, also for those who listen already: what they have
        # seen they recognise by its number.
        self._read_up_to[key] = "0-0"
        self._outbox.append((self._wake_key, b""))
        self._has_mail.set()

    def unsubscribe(self, message_id: uuid.UUID, entries: Entries) -> None:
        key = _stream_key(message_id)
        self._followers[key].discard(entries)
        if not self._followers[key]:
            del self._followers[key]
            self._read_up_to.pop(key, None)

    async def _forever(
        self, work: Callable[[Callable[[], None]], Awaitable[None]]
    ) -> None:
        """Do `work` again after every failure of Redis, quietly after the first."""
        is_down = False

        def recovered() -> None:
            nonlocal is_down
            if is_down:
                logger.info("redis is back", extra={"work": work.__name__})
            is_down = False

        while True:
            try:
                await work(recovered)
            except (RedisError, OSError) as error:
                if not is_down:
                    logger.warning(
                        "redis unavailable",
                        extra={"work": work.__name__, "cause": error},
                    )
                is_down = True
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                # Without it this process would be deaf until it is started again.
                logger.exception("redis could not be understood")
                await asyncio.sleep(RETRY_SECONDS)

    async def _write(self, recovered: Callable[[], None]) -> None:
        while True:
            await self._has_mail.wait()
            self._has_mail.clear()
            while self._outbox:
                # Everything that gathered while the last trip was under way goes
                # with the next: a slow Redis makes larger batches, not a queue.
                batch = [self._outbox.popleft() for _ in range(len(self._outbox))]
                try:
                    async with self._writer.pipeline(transaction=False) as pipe:
                        for key, value in batch:
                            if key == BELL:
                                pipe.publish(key, value)
                            else:
                                pipe.xadd(key, {"e": value}, maxlen=5000)
                        for key in {key for key, _value in batch} - {BELL}:
                            pipe.expire(key, STREAM_TTL)
                        await pipe.execute()
                except (RedisError, OSError):
                    # Kept, so that followers elsewhere find a whole stream when
                    # Redis comes back; twice is harmless, events are numbered.
                    room = BACKLOG - len(self._outbox)
                    self._outbox.extendleft(reversed(batch[-room:] if room else []))
                    self._has_mail.set()
                    raise
                recovered()

    async def _listen(self, recovered: Callable[[], None]) -> None:
        async with self._reader.pubsub() as pubsub:
            await pubsub.subscribe(BELL)
            recovered()
            while True:
                message = await pubsub.get_message(
                    ignore_subscribe_messages=True, timeout=BLOCK_SECONDS
                )
                if message is None:
                    continue
                received = json.loads(message["data"])
                if received.pop("from") != self.name:
                    for callback in _callbacks:
                        callback(received)

    async def _read(self, recovered: Callable[[], None]) -> None:
        woken_up_to: Any = "0-0"
        while True:
            keys: dict[Any, Any] = {self._wake_key: woken_up_to, **self._read_up_to}
            found: Any = await self._reader.xread(
                keys, block=1000 * BLOCK_SECONDS, count=500
            )
            recovered()
            for raw_key, entries in found or []:
                key = raw_key.decode()
                last_id = entries[-1][0]
                if key == self._wake_key:
                    woken_up_to = last_id
                    continue
                if keys.get(key) == self._read_up_to.get(key):
                    self._read_up_to[key] = last_id
                for _id, fields in entries:
                    seq, parts, is_last = json.loads(fields[b"e"])
                    for follower in list(self._followers.get(key, ())):
                        follower.put((seq, parts, is_last))


def _stream_key(message_id: uuid.UUID) -> str:
    return f"{PREFIX}reply:{message_id.hex}"
