"""Carry the events of replies from whoever writes them to whoever follows them.

In the process that writes a reply, followers hear it directly. In another process
they hear it through Redis Streams, and where there is no Redis, or it is down, they
read what was checkpointed in the database. Every way leads through the same
sequence numbers, so a follower sees each character once, in order.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from math import inf
from weakref import WeakKeyDictionary

from conversations import broker, events
from conversations.models import Message
from conversations.rendering import ended_event, message_json
from conversations.transcripts import Transcript
from database import metrics
from database.threads import Outage, in_database

#: How long followers wait for further text, in seconds: the more replies are being
#: written, the longer. Text that comes more seldom than that waits for nothing.
MIN_WINDOW = 0.004
MAX_WINDOW = 0.024
WINDOW_PER_REPLY = 0.001

#: How often a follower looks into the database for a reply written elsewhere.
POLL_SECONDS = 1.0


class LiveReply:
    """A reply that this process is writing."""

    def __init__(self, reply: Message, lengths: str = "") -> None:
        self.message_id: uuid.UUID = reply.pk
        self.conversation_id: uuid.UUID = reply.conversation_id
        self.parent_id: uuid.UUID | None = reply.parent_id
        self.transcript = Transcript.restore(reply.content, lengths)
        self.run_start = self.transcript.append()
        if self.run_start > 1:
            # Elsewhere a number that is missing means that something was missed.
            broker.append(self.message_id, self.run_start, "")
        self.ended: events.ReplyEnded | None = None
        self._is_abandoned = False
        self._waiters: set[asyncio.Future[bool]] = set()

    @property
    def seq(self) -> int:
        """The number of the last event that followers could see."""
        return self.transcript.seq

    def is_ahead(self, after: int) -> bool:
        """Whether who saw event `after` saw words that a crash took."""
        return after > self.seq or self.transcript.is_lost(after)

    def write(self, text: str) -> None:
        """Add text and tell the followers."""
        seq = self.transcript.append(text)
        self._wake()
        broker.append(self.message_id, seq, text)

    def end(self, ending: events.ReplyEnded) -> None:
        """Tell followers how it ended; `ending` is already in the database."""
        assert ending.seq == self.transcript.seq + 1
        self.transcript.append()
        self.ended = ending
        self._wake()
        broker.append(self.message_id, ending.seq, "", is_last=True)

    def abandon(self) -> None:
        """Send followers to the database: this process has nothing to say any more."""
        self._is_abandoned = True
        self._wake()

    async def follow(
        self, after: int, beat: float | None = None
    ) -> AsyncGenerator[events.ReplyEvent | None, None]:
        """Yield what came after event number `after`, then what comes.

        None after every `beat` seconds of silence.
        """
        seq = after
        while True:
            for event in self._since(seq):
                seq = event.seq
                yield event
            if self._is_abandoned or (self.ended and seq >= self.ended.seq):
                return
            if seq == self.transcript.seq and not await self._has_news(beat):
                yield None

    def _since(self, after: int) -> list[events.ReplyEvent]:
        found: list[events.ReplyEvent] = []
        text = self.transcript.since(after)
        if text:
            seq = self.transcript.seq - (self.ended is not None)
            found.append(self._delta(seq, text))
        elif after < self.run_start:
            found.append(
                events.ReplyStarted(
                    self.conversation_id,
                    self.message_id,
                    self.run_start,
                    self.parent_id,
                )
            )
        if self.ended is not None and after < self.ended.seq:
            found.append(self.ended)
        return found

    def _delta(self, seq: int, text: str) -> events.ReplyDelta:
        return events.ReplyDelta(self.conversation_id, self.message_id, seq, text)

    async def _has_news(self, seconds: float | None) -> bool:
        """Wait for something to happen; False when it took so many seconds."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiters.add(waiter)
        timer = loop.call_later(seconds, _answer, waiter, False) if seconds else None
        try:
            return await waiter
        finally:
            self._waiters.discard(waiter)
            if timer:
                timer.cancel()

    def _wake(self) -> None:
        for waiter in self._waiters:
            _answer(waiter, True)
        self._waiters.clear()


def _answer(waiter: "asyncio.Future[bool]", has_news: bool) -> None:
    if not waiter.done():
        waiter.set_result(has_news)


#: Replies that this process is writing, by message id.
live: dict[uuid.UUID, LiveReply] = {}
_followers = 0

metrics.ask(
    "tertulia_replies_in_progress", "Replies being written here.", lambda: len(live)
)
metrics.ask(
    "tertulia_relay_followers",
    "Who follows replies here, wherever they are written.",
    lambda: _followers,
)


def _window() -> float:
    return min(MAX_WINDOW, MIN_WINDOW + WINDOW_PER_REPLY * (len(live) - 1))


#: Replies that wait for the end of the window, by the event loop that writes them.
_pausing: WeakKeyDictionary[asyncio.AbstractEventLoop, list[asyncio.Future[bool]]] = (
    WeakKeyDictionary()
)


async def pause() -> None:
    """Let further text come before it is passed on.

    What a model sends meanwhile waits in its connection and is read at once: every
    time something is read, decoded and sent costs, however little it is. One timer
    ends the pauses of all replies.
    """
    loop = asyncio.get_running_loop()
    waiters = _pausing.setdefault(loop, [])
    if not waiters:
        loop.call_later(_window(), _go_on, waiters)
    waiter: asyncio.Future[bool] = loop.create_future()
    waiters.append(waiter)
    await waiter


def _go_on(waiters: "list[asyncio.Future[bool]]") -> None:
    for waiter in waiters:
        _answer(waiter, True)
    waiters.clear()


async def follow(
    message_id: uuid.UUID, after: int = 0, beat: float | None = None
) -> AsyncGenerator[events.Event | None, None]:
    """Yield the events of a reply after number `after`, to its end and without a gap.

    The first may be one delta that joins all that was missed. A follower that has
    seen more than a crash let survive gets `message.updated` with all that is left.
    Ends at once when the reply is gone. With a `beat`, None is yielded about so many
    seconds after the last event, and again.
    """
    global _followers
    _followers += 1
    try:
        while True:
            reply = live.get(message_id)
            if reply is not None and reply.is_ahead(after):
                stored = await _stored(message_id)
                # Both in the same moment; the database is a second behind.
                after = reply.seq - (reply.ended is not None)
                if stored is not None:
                    stored.content = reply.transcript.text
                    yield _whole(stored)
            steps: AsyncGenerator[events.Event | None, None] = (
                reply.follow(after, beat)
                if reply
                else _follow_elsewhere(message_id, after, beat)
            )
            async with aclosing(steps) as source:
                async for event in source:
                    after = getattr(event, "seq", after)
                    yield event
                    if isinstance(event, events.ReplyEnded):
                        return
            # One that was live was taken away: the database knows what became of it.
            if reply is None and message_id not in live:
                return
    finally:
        _followers -= 1


async def _follow_elsewhere(
    message_id: uuid.UUID, after: int, beat: float | None
) -> AsyncGenerator[events.Event | None, None]:
    """Follow a reply that another process writes, or nobody any more.

    Returns early when this process takes the reply over.
    """
    beat_at = time.monotonic() + beat if beat else inf
    with broker.subscription(message_id) as entries:
        while message_id not in live:
            if beat and time.monotonic() >= beat_at:
                beat_at = time.monotonic() + beat
                yield None
            message = await _stored(message_id)
            if message is None:
                return
            transcript = Transcript.restore(message.content, message.generation.lengths)
            if not message.is_streaming:
                if after > transcript.seq or transcript.is_lost(after):
                    yield _whole(message)
                elif text := transcript.since(after):
                    yield _delta(message, transcript.seq - 1, text)
                yield ended_event(message, transcript.seq)
                return
            # Event 1 is always the start, also before anything was saved.
            seq = max(transcript.seq, 1)
            if transcript.is_lost(after):
                yield _whole(message)
                after = seq
            elif after < seq:
                if text := transcript.since(after):
                    yield _delta(message, seq, text)
                elif after == 0:
                    yield _started(message, seq)
                after = seq
            # From here on Redis is faster; a gap, the end or silence lead back to
            # the database.
            while (entry := await entries.next(POLL_SECONDS)) is not None:
                beat_at = time.monotonic() + beat if beat else inf
                first, parts, is_last = entry
                if is_last or first > after + 1:
                    break
                text = "".join(parts[after + 1 - first :])
                after = max(after, first + len(parts) - 1)
                if text:
                    yield _delta(message, after, text)


async def _stored(message_id: uuid.UUID) -> Message | None:
    """Return what the database has of a reply, when it can be reached again."""
    found = Message.objects.select_related("generation").filter(
        pk=message_id, generation__isnull=False
    )
    while True:
        try:
            return await in_database(found.first)
        except Outage:
            # The reply goes on, and so do those who follow it.
            await asyncio.sleep(POLL_SECONDS)


def _whole(message: Message) -> events.MessageUpdated:
    return events.MessageUpdated(message.conversation_id, message_json(message))


def _delta(message: Message, seq: int, text: str) -> events.ReplyDelta:
    return events.ReplyDelta(message.conversation_id, message.pk, seq, text)


def _started(message: Message, seq: int) -> events.ReplyStarted:
    return events.ReplyStarted(
        message.conversation_id, message.pk, seq, message.parent_id
    )
