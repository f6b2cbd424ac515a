"""Conversations, messages and replies over REST and server-sent events."""

from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework import generics
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.schema import ErrorSerializer
from accounts.authentication.bearer import signed_in
from accounts.models import User
from conversations import access, errors, events, generations, lifecycle, turns
from conversations.api import serializers as shapes
from conversations.api.streams import (
    event_stream,
    finished_turn,
    text_stream,
    turn_json,
)
from conversations.models import Conversation, Message
from conversations.querysets import ConversationQuerySet, MessageQuerySet
from conversations.rendering import conversation_json, message_json
from conversations.sockets import mark_read

REFUSALS = {
    status: OpenApiResponse(ErrorSerializer)
    for status in (400, 401, 403, 404, 409, 429, 503)
}
NOT_YOURS = {status: REFUSALS[status] for status in (401, 404)}
EVENT_STREAM = {(200, "text/event-stream"): OpenApiTypes.STR}
Q = TypeVar("Q", ConversationQuerySet, MessageQuerySet)
LIMIT = OpenApiParameter("limit", int, description="At most 200.")


def limit_in(request: Request, default: int = 50) -> int:
    given = request.query_params.get("limit", str(default))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= 200:
        raise errors.Invalid("limit must be a number from 1 to 200.")
    return int(given)


class OwnConversations(generics.GenericAPIView[Conversation]):
    """Conversations that the person who asks may read, or, to change them, owns."""

    queryset = Conversation.objects.none()
    serializer_class = shapes.ConversationShape

    def get_queryset(self) -> ConversationQuerySet:
        whole = Conversation.objects.select_related("character", "model").with_unread()
        return _allowed(self.request, whole)

    def get_object(self) -> Conversation:
        try:
            return super().get_object()
        except Http404:
            asked = Conversation.objects.filter(pk=self.kwargs["pk"])
            raise access.refusal(signed_in(self.request), asked) from None


class OwnMessages(generics.GenericAPIView[Message]):
    """Messages that the person who asks may read, or, to change them, owns."""

    queryset = Message.objects.none()
    serializer_class = shapes.MessageShape

    def get_queryset(self) -> MessageQuerySet:
        whole = Message.objects.select_related("generation", "conversation")
        return _allowed(self.request, whole)

    def get_object(self) -> Message:
        try:
            message = super().get_object()
        except Http404:
            asked = Message.objects.filter(pk=self.kwargs["pk"])
            raise access.refusal(signed_in(self.request), asked) from None
        access.note_reading(signed_in(self.request), message.conversation)
        return message


def _allowed(request: Request, objects: Q) -> Q:
    user = signed_in(request)
    is_reading = request.method in SAFE_METHODS
    return objects.visible_to(user) if is_reading else objects.owned_by(user)


@extend_schema_view(
    get=extend_schema(
        summary="List your conversations",
        description="With `user`, those of somebody you see: a worker of your team, or "
        "as an administrator anybody.",
        parameters=[OpenApiParameter("user", OpenApiTypes.UUID)],
        responses={
            200: shapes.ConversationShape(many=True),
            400: REFUSALS[400],
            **NOT_YOURS,
        },
    )
)
class Conversations(OwnConversations, generics.ListAPIView[Conversation]):
    def get_queryset(self) -> ConversationQuerySet:
        user, asked = signed_in(self.request), self.request.query_params.get("user")
        if asked is None:
            return super().get_queryset().owned_by(user)
        try:
            owner = User.objects.visible_to(user).get(pk=UUID(asked))
        except ValueError:
            raise errors.Invalid("user must be the id of a user.") from None
        except User.DoesNotExist:
            raise errors.NotFound from None
        return super().get_queryset().owned_by(owner)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response([conversation_json(c) for c in page])

    @extend_schema(
        summary="Open a conversation",
        request=shapes.NewConversation,
        responses={
            201: shapes.ConversationShape,
            400: REFUSALS[400],
            401: REFUSALS[401],
        },
    )
    def post(self, request: Request) -> Response:
        new = shapes.NewConversation(data=request.data)
        new.is_valid(raise_exception=True)
        conversation = lifecycle.begin(signed_in(request), **new.validated_data)
        return Response(conversation_json(conversation), status=201)


class OneConversation(OwnConversations):
    @extend_schema(
        summary="Show a conversation",
        responses={200: shapes.ConversationShape, **NOT_YOURS},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        conversation = self.get_object()
        access.note_opening(signed_in(request), conversation)
        return Response(conversation_json(conversation))

    @extend_schema(
        summary="Rename or pin a conversation",
        request=shapes.ConversationChanges,
        responses={200: shapes.ConversationShape, 400: REFUSALS[400], **NOT_YOURS},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        conversation = self.get_object()
        changes = shapes.ConversationChanges(
            conversation, data=request.data, partial=True
        )
        changes.is_valid(raise_exception=True)
        changed = list(changes.validated_data)
        for name, value in changes.validated_data.items():
            setattr(conversation, name, value)
        if changed:
            conversation.save(update_fields=changed)
        generations.announce(conversation)
        return Response(conversation_json(conversation))

    @extend_schema(
        summary="Delete a conversation with all its messages",
        responses={204: None, **NOT_YOURS},
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        lifecycle.delete(self.get_object())
        return Response(status=204)


class ResetConversation(APIView):
    @extend_schema(
        summary="Close a conversation and open a new one with the same character",
        request=None,
        responses={201: shapes.ConversationShape, **NOT_YOURS},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        return Response(
            conversation_json(lifecycle.reset(signed_in(request), pk)), status=201
        )


class ReadConversation(APIView):
    @extend_schema(
        summary="Note that you have seen all of a conversation",
        request=None,
        responses={204: None, **NOT_YOURS},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        read_at = mark_read(signed_in(request), pk)
        generations.ring(
            signed_in(request).pk, "read", conversation=str(pk), at=read_at
        )
        return Response(status=204)


class Messages(OwnConversations):
    serializer_class = shapes.MessageShape  # type: ignore[assignment]
    pagination_class = None

    @extend_schema(
        summary="List the messages of a conversation, oldest first",
        description="The newest `limit` messages of the branch that is shown; "
        "`next` leads to those before.",
        parameters=[
            LIMIT,
            OpenApiParameter("before", OpenApiTypes.UUID, description="A message id."),
        ],
        responses={200: shapes.MessagesPage, 400: REFUSALS[400], **NOT_YOURS},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        conversation, limit = self.get_object(), limit_in(request)
        leaf = conversation.head_id
        if before := request.query_params.get("before"):
            leaf = _parent_of(before, conversation)
        access.note_reading(signed_in(request), conversation)
        messages = Message.objects.shown(leaf, limit)
        has_more = bool(messages) and messages[0].parent_id is not None
        here = request.build_absolute_uri(reverse("conversation-messages", args=[pk]))
        return Response(
            {
                "next": f"{here}?limit={limit}&before={messages[0].pk}"
                if has_more
                else None,
                "results": [message_json(m) for m in messages],
            }
        )

    @extend_schema(
        summary="Send a message",
        description="Stores it and starts the reply; with `wait=true` the answer comes "
        "when the reply has ended. The same `client_id` again is the same turn (200).",
        parameters=[OpenApiParameter("wait", bool)],
        request=shapes.NewMessage,
        responses={200: shapes.TurnShape, 201: shapes.TurnShape, **REFUSALS},
    )
    def post(self, request: Request, pk: UUID) -> HttpResponseBase:
        try:
            new = shapes.NewMessage(data=request.data)
            new.is_valid(raise_exception=True)
        except APIException:
            # To whom this is not open it does not say what a message looks like;
            # of a good one `turns.open` finds out by itself.
            self.get_object()
            raise
        turn = turns.open(signed_in(request), pk, **new.validated_data)
        return answer_turn(request, turn, 201 if turn.is_new else 200)


def _parent_of(message_id: str, conversation: Conversation) -> UUID | None:
    try:
        return conversation.messages.get(pk=message_id).parent_id
    except (Message.DoesNotExist, ValidationError):
        raise errors.Invalid("before must be the id of a message here.") from None


def answer_turn(request: Request, turn: turns.Turn, status: int) -> HttpResponseBase:
    generations.start(turn)
    if request.query_params.get("wait", "").lower() in ("true", "1"):
        return finished_turn(turn, status)
    return Response(turn_json(turn, turn.reply), status=status)


class OneMessage(OwnMessages):
    @extend_schema(
        summary="Show a message", responses={200: shapes.MessageShape, **NOT_YOURS}
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(message_json(self.get_object()))

    @extend_schema(
        summary="Say how important a message is",
        request=shapes.MessageChanges,
        responses={200: shapes.MessageShape, 400: REFUSALS[400], **NOT_YOURS},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        message = self.get_object()
        changes = shapes.MessageChanges(message, data=request.data, partial=True)
        changes.is_valid(raise_exception=True)
        for name, value in changes.validated_data.items():
            setattr(message, name, value)
        if changed := list(changes.validated_data):
            message.save(update_fields=changed)
        return Response(message_json(message))

    @extend_schema(
        summary="Delete a message and everything after it on its branch",
        responses={204: None, 409: REFUSALS[409], **NOT_YOURS},
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        lifecycle.delete_message(signed_in(request), pk)
        return Response(status=204)


class StopReply(APIView):
    @extend_schema(
        summary="Stop a reply; its words are kept",
        request=None,
        responses={202: shapes.MessageShape, **NOT_YOURS},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        return Response(message_json(turns.stop(signed_in(request), pk)), status=202)


class ContinueReply(APIView):
    @extend_schema(
        summary="Go on writing a reply that was cut short",
        request=None,
        parameters=[OpenApiParameter("wait", bool)],
        responses={202: shapes.TurnShape, **REFUSALS},
    )
    def post(self, request: Request, pk: UUID) -> HttpResponseBase:
        return answer_turn(request, turns.resume(signed_in(request), pk), 202)


class RegenerateReply(APIView):
    @extend_schema(
        summary="Write another reply to the same message",
        request=None,
        parameters=[OpenApiParameter("wait", bool)],
        responses={202: shapes.TurnShape, **REFUSALS},
    )
    def post(self, request: Request, pk: UUID) -> HttpResponseBase:
        return answer_turn(request, turns.regenerate(signed_in(request), pk), 202)


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
            raise errors.Invalid("after must be the number of an event.")
        return event_stream(reply.pk, int(given[:9]))


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
            return text_stream(turn)
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
        return event_stream(turn.reply.pk, 0, created)


class ChatHistory(APIView):
    @extend_schema(
        summary="Show your default conversation, oldest first",
        parameters=[LIMIT],
        responses={200: shapes.MessagesPage, 400: REFUSALS[400], 401: REFUSALS[401]},
    )
    def get(self, request: Request) -> Response:
        limit = limit_in(request)
        conversation = lifecycle.find_default(signed_in(request))
        head = conversation.head_id if conversation else None
        messages = Message.objects.shown(head, limit)
        return Response({"next": None, "results": [message_json(m) for m in messages]})

    @extend_schema(
        summary="Delete your default conversation",
        responses={204: None, 401: REFUSALS[401]},
    )
    def delete(self, request: Request) -> Response:
        conversation = lifecycle.find_default(signed_in(request))
        if conversation is not None:
            lifecycle.delete(conversation)
        return Response(status=204)
