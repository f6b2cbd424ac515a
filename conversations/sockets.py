"""What both sockets have in common: identity, commands, and following replies.

One socket carries all conversations of its user. It re-checks its right on every
command, and `watch.py` has it closed within seconds when its session dies. What an
event looks like is the business of the two consumers in `consumers.py`.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from accounts import origin, throttling
from accounts.api.parsing import UNSTORABLE
from accounts.errors import Refusal
from accounts.models import User
from conversations import access, doorbell, events, relay, turns, watch
from conversations.errors import NotFound, SignedOut
from conversations.models import Conversation
from database.threads import Outage, in_database

logger = logging.getLogger("tertulia.app")

#: Close codes: the session is over; the database cannot be reached.
UNAUTHENTICATED = 4401
UNAVAILABLE = 4503
#: What RFC 6455 has for a fault of the server.
BROKEN = 1011
#: Commands of any kind that one user may send.
COMMAND_RATE = "1200/m"
MAX_FOLLOWED = 50

Frame = dict[str, Any]
T = TypeVar("T")


class Unavailable(Refusal):
    status = 503
    code = "unavailable"
    detail = gettext_lazy("The database cannot be reached. Try again in a moment.")


class Malformed(Refusal):
    code = "malformed"


class Socket(AsyncWebsocketConsumer):
    """A connected client. Subclasses say who it is and what it is shown."""

    #: What its kind is called where they are counted.
    kind: str
    #: The session that gives the right to be here; its kind depends on the consumer.
    credential: Any = None
    user: User
    #: What refusals and fragments speak.
    language: str | None = None

    # What a subclass decides

    async def identify(self) -> User | None:
        """Return who connects, and set `credential`; None refuses the handshake."""
        raise NotImplementedError

    def current_user(self) -> User | None:
        """Return the user if the session is still good; called in a thread."""
        raise NotImplementedError

    async def show(self, event: events.Event) -> None:
        """Send an event."""
        raise NotImplementedError

    async def show_refusal(self, refusal: Refusal, frame: Frame) -> None:
        raise NotImplementedError

    async def on_ring(self, ring: doorbell.Ring) -> None:
        """Something happened to the user's conversations, here or elsewhere."""
        raise NotImplementedError

    async def handle(self, frame: Frame) -> None:
        """Carry out a command; raise a Refusal, or Malformed for an unknown one."""
        raise NotImplementedError

    # The life of a socket

    async def connect(self) -> None:
        self._followed: dict[uuid.UUID, asyncio.Task[None]] = {}
        self.of_others: set[uuid.UUID] = set()
        self._rings: set[asyncio.Task[None]] = set()
        self._unlisten: Callable[[], None] | None = None
        try:
            user = await self.identify()
            self.language = await in_database(_language_of, user)
        except Outage:
            # A refused handshake would say that the session is over.
            await self.accept(self.accepted_subprotocol())
            await self.close(UNAVAILABLE)
            return
        if user is None:
            await self.close(UNAUTHENTICATED)
            return
        self.user = user
        self._unlisten = doorbell.listen(user.pk, self._hear)
        watch.begin(self)
        await self.accept(self.accepted_subprotocol())

    def accepted_subprotocol(self) -> str | None:
        return None

    async def disconnect(self, code: int) -> None:
        watch.end(self)
        if self._unlisten:
            self._unlisten()
        for task in [*self._followed.values(), *self._rings]:
            task.cancel()

    async def lose_session(self) -> None:
        await self.close(UNAUTHENTICATED)

    async def lose_sight(self, message_id: uuid.UUID) -> None:
        self.unfollow(message_id)
        # As if it were asked for now.
        refusal = NotFound(message_id=str(message_id))
        await self.show_refusal(refusal, {"type": "follow"})

    async def dispatch(self, message: Frame) -> None:
        # Channels would look after the connections of threads that we do not use.
        await getattr(self, get_handler_name(message))(message)

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        if self.credential is None:
            return  # sent before it was heard that this socket is closed
        frame: Frame = {}
        came = origin.Origin(throttling.client_ip(self.scope), origin.new_request_id())
        with origin.coming_from(came), override(self.language):
            try:
                await throttling.acheck("socket", COMMAND_RATE, str(self.user.pk))
                frame = _parse(text_data)
                await self.handle(frame)
            except Refusal as refusal:
                await self.show_refusal(refusal, frame)
                if isinstance(refusal, SignedOut):
                    await self.close(UNAUTHENTICATED)
            except Outage as error:
                logger.error("database unavailable", extra={"cause": error})
                await self.show_refusal(Unavailable(), frame)
            except Exception:
                # Closed, so that what belongs to the socket is cleared away.
                logger.exception("a command broke")
                await self.close(BROKEN)

    # What commands are made of

    async def as_user(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Do `work(user, …)` in a thread, after checking the session once more."""

        where = origin.current()

        def checked() -> T:
            user = self.current_user()
            if user is None:
                raise SignedOut
            # The thread knows nothing of the socket.
            with origin.coming_from(where), override(user.profile.language):
                return work(user, *args, **kwargs)

        return await in_database(checked)

    async def render(self, work: Callable[..., T], *args: Any) -> T:
        """Do `work`, in the user's language, in a thread."""

        def spoken() -> T:
            with override(self.language):
                return work(*args)

        return await in_database(spoken)

    async def stop(self, message_id: uuid.UUID) -> None:
        await self.as_user(turns.stop, message_id)

    def announce(self, kind: str, **values: Any) -> None:
        """Tell the user's other sockets."""
        doorbell.ring(self.user.pk, kind, origin=self.channel_id, **values)

    @property
    def channel_id(self) -> str:
        return str(id(self))

    def follow(
        self, message_id: uuid.UUID, after: int = 0, *, is_own: bool = True
    ) -> None:
        """Show the events of a reply from number `after` on, beside all else."""
        if message_id in self._followed:
            return
        task = asyncio.ensure_future(self._show_all(message_id, after))
        self._followed[message_id] = task
        if not is_own:
            self.of_others.add(message_id)

        def forget(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and (error := done.exception()):
                # Usually a client that left while it was being sent to.
                logger.info("a follower broke off", extra={"cause": error})
            if self._followed.get(message_id) is done:
                del self._followed[message_id]
                self.of_others.discard(message_id)

        task.add_done_callback(forget)

    @property
    def follows_enough(self) -> bool:
        """Whether nothing more can be asked for; what is one's own is shown anyway."""
        return len(self._followed) >= MAX_FOLLOWED

    def unfollow(self, message_id: uuid.UUID) -> None:
        if task := self._followed.pop(message_id, None):
            self.of_others.discard(message_id)
            task.cancel()

    def is_following(self, message_id: uuid.UUID) -> bool:
        return message_id in self._followed

    async def _show_all(self, message_id: uuid.UUID, after: int) -> None:
        while True:
            try:
                async with aclosing(relay.follow(message_id, after)) as steps:
                    async for event in steps:
                        assert event is not None  # no beat was asked for
                        await self.show(event)
                        after = getattr(event, "seq", after)
                return
            except Outage:
                # The reply goes on; look again when the database is back.
                await asyncio.sleep(1)

    def _hear(self, ring: doorbell.Ring) -> None:
        if ring.get("origin") == self.channel_id:
            return
        task = asyncio.ensure_future(self._answer(ring))
        self._rings.add(task)
        task.add_done_callback(self._rings.discard)

    async def _answer(self, ring: doorbell.Ring) -> None:
        # A ring is never the only copy: what is missed now is there on reload, and
        # what was deleted in the meantime is not missed.
        with suppress(*Outage, ObjectDoesNotExist, Refusal):
            await self.on_ring(ring)


def _language_of(user: User | None) -> str | None:
    return user.profile.language if user else None


def _parse(text: str | None) -> Frame:
    if text is None:
        raise Malformed(_("Send text frames with one JSON object each."))
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed(_("This frame is not JSON.")) from None
    if not isinstance(frame, dict):
        raise Malformed(_("Send one JSON object per frame."))
    return frame


def uuid_in(frame: Frame, name: str) -> uuid.UUID:
    """Return the id that `frame` has under `name`, or refuse the frame."""
    try:
        return uuid.UUID(str(frame[name]))
    except (KeyError, ValueError):
        raise Malformed(_("%(name)s must be an id.") % {"name": name}) from None


def text_in(frame: Frame, name: str, *, default: str | None = None) -> str | None:
    """Return the text that `frame` has under `name`, or refuse the frame."""
    value = frame.get(name, default)
    if value is not None and (not isinstance(value, str) or UNSTORABLE.search(value)):
        raise Malformed(
            _("%(name)s must be a text that can be stored.") % {"name": name}
        )
    return value


def client_id_in(frame: Frame) -> str | None:
    """Return what the client calls its message, so that it knows what was refused."""
    with suppress(Malformed):
        return text_in(frame, "client_id")
    return None


def mark_read(user: User, conversation_id: uuid.UUID) -> str:
    """Note that the user has seen all of a conversation; return when."""
    now = timezone.now()
    asked = Conversation.objects.filter(pk=conversation_id)
    if not asked.owned_by(user).update(last_read_at=now):
        raise access.refusal(user, asked)
    return now.isoformat()


def own_conversation(user: User, conversation_id: uuid.UUID) -> Conversation:
    asked = Conversation.objects.filter(pk=conversation_id)
    conversation = asked.owned_by(user).first()
    if conversation is None:
        raise access.refusal(user, asked)
    return conversation
