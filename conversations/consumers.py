"""The two sockets: `/ws/` for programs (JSON), `/ws/pages/` for our pages (HTML)."""

import asyncio
import uuid
from urllib.parse import parse_qs

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.authentication import bearer, issuers, liveness
from accounts.authentication.issuers import Visit
from accounts.errors import Refusal
from accounts.mfa import second_factor
from accounts.models import Session, User
from conversations import (
    access,
    doorbell,
    events,
    fragments,
    generations,
    turns,
    watch,
)
from conversations.models import Message
from conversations.rendering import error_json, event_json, message_json
from conversations.sockets import (
    MAX_FOLLOWED,
    Frame,
    Malformed,
    Socket,
    client_id_in,
    mark_read,
    own_conversation,
    text_in,
    uuid_in,
)
from database.threads import in_database

#: Pages are shown at most this many deltas a second: a fragment costs more than a
#: line of JSON, and nobody reads faster.
PAGE_DELTAS_PER_SECOND = 12


class JsonConsumer(Socket):
    """`/ws/`: one JSON object per frame, as docs/api.md describes them."""

    kind = "json"

    async def identify(self) -> User | None:
        right = await self._right()
        if right is None:
            return None
        user, on = right
        self.credential = watch.credential_of(on)
        return user

    async def _right(self) -> tuple[User, Session | Visit] | None:
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        headers = dict(self.scope["headers"])
        scheme, _space, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            return await self._right_of(token.decode("latin-1").strip())
        match self.scope["subprotocols"]:
            case ["bearer", token]:
                return await self._right_of(token)
        if "ticket" in query:
            session = await in_database(bearer.redeem_ticket, query["ticket"][0])
            return (session.user, session) if session else None
        if settings.WS_QUERY_TOKEN and "token" in query:
            return await self._right_of(query["token"][0])
        return None

    async def _right_of(self, token: str) -> tuple[User, Session | Visit] | None:
        if not issuers.is_foreign(token):
            return await in_database(bearer.right_of, token)
        proof = await issuers.averified(token)
        return await in_database(issuers.visitor, proof) if proof else None

    def accepted_subprotocol(self) -> str | None:
        return "bearer" if "bearer" in self.scope["subprotocols"] else None

    def current_user(self) -> User | None:
        if isinstance(self.credential, Visit):
            return issuers.user_on(self.credential)
        return liveness.api_user(self.credential)

    async def show(self, event: events.Event) -> None:
        await self.send(event_json(event))

    async def show_refusal(self, refusal: Refusal, frame: Frame) -> None:
        context = {"command": frame.get("type")}
        if client_id := client_id_in(frame):
            context["client_id"] = client_id
        await self.send(error_json(refusal.body, **context))

    async def handle(self, frame: Frame) -> None:
        match frame.get("type"):
            case "message.send":
                await self._send_message(frame)
            case "message.stop":
                await self.stop(uuid_in(frame, "message_id"))
            case "follow":
                after = frame.get("after", 0)
                if not isinstance(after, int) or after < 0:
                    raise Malformed(_("after must be a number of an event, or absent."))
                asked = uuid_in(frame, "message_id")
                reply = await self.as_user(access.visible_reply, asked)
                is_own = reply.conversation.user_id == self.user.pk
                if self.follows_enough and not self.is_following(reply.pk):
                    raise Malformed(
                        _("At most %(count)s replies can be followed at once.")
                        % {"count": MAX_FOLLOWED}
                    )
                self.follow(reply.pk, after, is_own=is_own)
            case "typing":
                conversation_id = uuid_in(frame, "conversation_id")
                await self.as_user(own_conversation, conversation_id)
                self.announce("typing", conversation=str(conversation_id))
            case "read":
                conversation_id = uuid_in(frame, "conversation_id")
                read_at = await self.as_user(mark_read, conversation_id)
                self.announce("read", conversation=str(conversation_id), at=read_at)
                await self.show(events.Read(conversation_id, read_at))
            case "ping":
                await self.send('{"type":"pong"}')
            case _:
                raise Malformed(_("There is no such command; docs/api.md lists them."))

    async def _send_message(self, frame: Frame) -> None:
        turn = await self.as_user(
            turns.open,
            uuid_in(frame, "conversation_id"),
            text_in(frame, "content", default="") or "",
            client_id=text_in(frame, "client_id"),
        )
        message = turn.sent
        try:
            await self.show(
                events.MessageCreated(
                    message.conversation_id, message_json(message), message.client_id
                )
            )
        finally:  # whatever becomes of this socket
            generations.start(turn)
        self.follow(turn.reply.pk)

    async def on_ring(self, ring: doorbell.Ring) -> None:
        conversation_id = uuid.UUID(ring["conversation"])
        match ring["kind"]:
            case "turn":
                reply_id = uuid.UUID(ring["reply"])
                if self.is_following(reply_id):
                    return
                if ring["message"]:
                    message = await in_database(Message.objects.get, pk=ring["message"])
                    await self.show(
                        events.MessageCreated(
                            conversation_id, message_json(message), message.client_id
                        )
                    )
                self.follow(reply_id, ring["after"])
            case "typing":
                await self.show(events.Typing(conversation_id, self.user.pk))
            case "read":
                await self.show(events.Read(conversation_id, ring["at"]))
            case "conversation.updated":
                await self.show(
                    events.ConversationUpdated(conversation_id, ring["object"])
                )
            case "conversation.deleted":
                await self.show(events.ConversationDeleted(conversation_id))
            case "message.deleted":
                await self.show(
                    events.MessageDeleted(conversation_id, uuid.UUID(ring["message"]))
                )


class PagesConsumer(Socket):
    """`/ws/pages/`: commands are JSON, answers are fragments for htmx to swap in."""

    kind = "pages"
    conversation_id: uuid.UUID | None = None

    async def identify(self) -> User | None:
        user, session = self.scope["user"], self.scope["session"]
        if not isinstance(user, User) or not session.session_key:
            return None
        if await in_database(second_factor.is_missing, user):
            return None
        self.credential = session.session_key
        self._growing: dict[uuid.UUID, fragments.GrowingReply] = {}
        # While the whole state is read and sent, rings wait: what they bring is newer.
        self._state = asyncio.Lock()
        return user

    def current_user(self) -> User | None:
        return liveness.browser_user(self.credential)

    async def handle(self, frame: Frame) -> None:
        match frame.get("type"):
            case "watch":
                await self._watch_conversation(uuid_in(frame, "conversation_id"))
            case "message.send":
                turn = await self.as_user(
                    turns.open,
                    uuid_in(frame, "conversation_id"),
                    text_in(frame, "content", default="") or "",
                    client_id=text_in(frame, "client_id"),
                )
                try:
                    await self._show_turn(turn.sent.pk, turn.reply.pk)
                finally:  # whatever becomes of this socket
                    generations.start(turn)
                self.follow(turn.reply.pk)
            case "message.stop":
                await self.stop(uuid_in(frame, "message_id"))
            case "typing":
                conversation_id = uuid_in(frame, "conversation_id")
                await self.as_user(own_conversation, conversation_id)
                self.announce("typing", conversation=str(conversation_id))
            case "ping":
                pass
            case _:
                raise Malformed(_("There is no such command."))

    async def _watch_conversation(self, conversation_id: uuid.UUID) -> None:
        """Show the conversation as it is now, and from here on what happens in it."""
        async with self._state:
            await self._show_whole(conversation_id)

    async def _show_whole(self, conversation_id: uuid.UUID) -> None:
        html, streaming = await self.as_user(see, conversation_id)
        self.conversation_id = conversation_id
        # First, so that nothing meant for the old page is added to the new one.
        for reply_id in streaming:
            self.unfollow(reply_id)
            self._growing.pop(reply_id, None)
        await self.send(html)
        for reply_id in streaming:
            self.follow(reply_id)

    async def _show_turn(self, *message_ids: uuid.UUID) -> None:
        await self.send(await self.render(fragments.created, message_ids))

    async def show(self, event: events.Event) -> None:
        if event.conversation_id != self.conversation_id:
            if isinstance(event, events.ReplyEnded):
                await self._show_item(event.conversation_id)
            return
        match event:
            case events.ReplyDelta():
                growing = self._growing.setdefault(
                    event.message_id, fragments.GrowingReply(event.message_id)
                )
                await self.send(growing.feed(event.text))
                # While this sleeps, the relay joins what comes into one delta.
                await asyncio.sleep(1 / PAGE_DELTAS_PER_SECOND)
            case events.ReplyEnded():
                self._growing.pop(event.message_id, None)
                await in_database(mark_read, self.user, event.conversation_id)
                html = await self.render(fragments.ended, event.message_id)
                await self.send(html)
            case events.MessageUpdated():
                pk = uuid.UUID(str(event.message["id"]))
                self._growing[pk] = fragments.GrowingReply(pk)
                html = await self.render(fragments.ended, pk)
                # Of a reply that is still written it has no text: that grows.
                await self.send(html + self._growing[pk].feed(event.message["content"]))

    async def _show_item(self, conversation_id: uuid.UUID) -> None:
        html = await self.render(fragments.conversation_item, conversation_id)
        await self.send(html)

    async def show_refusal(self, refusal: Refusal, frame: Frame) -> None:
        await self.send(fragments.refusal(refusal, client_id_in(frame)))

    async def on_ring(self, ring: doorbell.Ring) -> None:
        async with self._state:
            await self._answer_ring(ring)

    async def _answer_ring(self, ring: doorbell.Ring) -> None:
        conversation_id = uuid.UUID(ring["conversation"])
        is_shown = conversation_id == self.conversation_id
        match ring["kind"]:
            case "turn":
                reply_id = uuid.UUID(ring["reply"])
                if not self.is_following(reply_id):
                    await self._show_turn_begun(conversation_id, reply_id, ring)
            case "conversation.updated" | "read":
                await self._show_item(conversation_id)
            case "conversation.deleted":
                if is_shown:
                    self.conversation_id = None
                await self.send(
                    fragments.without(
                        conversation_id, is_shown=is_shown, language=self.language
                    )
                )
            case "message.deleted" if is_shown:
                await self._show_whole(conversation_id)

    async def _show_turn_begun(
        self, conversation_id: uuid.UUID, reply_id: uuid.UUID, ring: doorbell.Ring
    ) -> None:
        if conversation_id != self.conversation_id:
            self.follow(reply_id, ring["after"])
        elif ring["message"]:
            await self._show_turn(uuid.UUID(ring["message"]), reply_id)
            self.follow(reply_id, ring["after"])
        else:  # written again, or continued: what is shown changes in the middle
            await self._show_whole(conversation_id)


def see(user: User, conversation_id: uuid.UUID) -> tuple[str, list[uuid.UUID]]:
    """Return the whole of a conversation, and note that the person has seen it."""
    mark_read(user, conversation_id)
    return fragments.whole(user, conversation_id)
