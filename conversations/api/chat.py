"""Replies as event streams: of one that is written, or of what is said with it."""

from uuid import UUID

from django.http import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication.bearer import signed_in
from conversations import errors, events, generations, lifecycle, turns
from conversations.api import serializers as shapes
from conversations.api.objects import NOT_YOURS, REFUSALS, OwnMessages
from conversations.api.streams import Reader, event_stream, text_stream
from conversations.rendering import message_json

EVENT_STREAM = {(200, "text/event-stream"): OpenApiTypes.STR}


class ReplyStream(OwnMessages):
    @extend_schema(
        summary="Follow a reply as server-sent events",
        description="Begins after the event number in `Last-Event-ID` or `after`.",
        parameters=[
            OpenApiParameter("after", int),
            OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER),
        ],
        responses={**EVENT_STREAM, 400: REFUSALS[400], **NOT_YOURS},
    )
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        reply = self.get_object()
        if not reply.is_reply or not hasattr(reply, "generation"):
            raise errors.NotFound
        given = request.query_params.get("after") or request.headers.get(
            "Last-Event-ID", "0"
        )
        if not given.isascii() or not given.isdigit():
            raise errors.Invalid(_("after must be the number of an event."))
        is_own = reply.conversation.user_id == signed_in(request).pk
        reader = Reader(request, of_others=() if is_own else (reply.pk,))
        return event_stream(reader, reply.pk, int(given[:9]))


class ChatStream(APIView):
    @extend_schema(
        summary="Send a message and follow its reply",
        description="With `conversation_id` and `content`: server-sent events. With "
        "`message`: plain text chunks from your default conversation. Both end with "
        "`data: [DONE]`.",
        request=shapes.ChatRequest,
        responses={**EVENT_STREAM, **REFUSALS},
    )
    def post(self, request: Request) -> HttpResponseBase:
        asked = shapes.ChatRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        client_id = values.get("client_id")
        if "message" in values:
            conversation = lifecycle.default_conversation(signed_in(request))
            turn = turns.open(
                signed_in(request),
                conversation.pk,
                values["message"],
                client_id=client_id,
                use_context=values["use_context"],
            )
            generations.start(turn)
            return text_stream(Reader(request), turn)
        turn = turns.open(
            signed_in(request),
            values["conversation_id"],
            values["content"],
            client_id=client_id,
            use_context=values["use_context"],
        )
        generations.start(turn)
        created = events.MessageCreated(
            turn.sent.conversation_id,
            message_json(turn.sent),
            turn.sent.client_id,
        )
        return event_stream(Reader(request), turn.reply.pk, 0, created)
