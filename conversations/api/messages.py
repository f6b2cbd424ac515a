"""Messages and their replies over REST; answers that are streams are in `chat.py`."""

from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.bodies import ChangesNeedBody
from accounts.authentication.bearer import signed_in
from conversations import access, errors, generations, lifecycle, turns
from conversations.api import serializers as shapes
from conversations.api.objects import (
    LIMIT,
    NOT_YOURS,
    NOT_YOURS_TO_CHANGE,
    REFUSALS,
    OwnConversations,
    OwnMessages,
    limit_in,
    wait_in,
)
from conversations.api.streams import Reader, finished_turn, turn_json
from conversations.models import Conversation, Message
from conversations.rendering import message_json


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
        wait = wait_in(request)
        try:
            new = shapes.NewMessage(data=request.data)
            new.is_valid(raise_exception=True)
        except APIException:
            # To whom this is not open it does not say what a message looks like;
            # of a good one `turns.open` finds out by itself.
            self.get_object()
            raise
        turn = turns.open(signed_in(request), pk, **new.validated_data)
        return answer_turn(request, turn, 201 if turn.is_new else 200, wait)


def _parent_of(message_id: str, conversation: Conversation) -> UUID | None:
    try:
        return conversation.messages.get(pk=message_id).parent_id
    except (Message.DoesNotExist, ValidationError):
        raise errors.Invalid(_("before must be the id of a message here.")) from None


def answer_turn(
    request: Request, turn: turns.Turn, status: int, wait: bool
) -> HttpResponseBase:
    generations.start(turn)
    if wait:
        return finished_turn(Reader(request), turn, status)
    return Response(turn_json(turn.message, turn.reply), status=status)


class OneMessage(ChangesNeedBody, OwnMessages):
    @extend_schema(
        summary="Show a message", responses={200: shapes.MessageShape, **NOT_YOURS}
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(message_json(self.get_object()))

    @extend_schema(
        summary="Say how important a message is",
        request=shapes.MessageChanges,
        responses={200: shapes.MessageShape, 400: REFUSALS[400], **NOT_YOURS_TO_CHANGE},
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
        responses={204: None, 409: REFUSALS[409], **NOT_YOURS_TO_CHANGE},
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        lifecycle.delete_message(signed_in(request), pk)
        return Response(status=204)


class StopReply(APIView):
    @extend_schema(
        summary="Stop a reply; its words are kept",
        request=None,
        responses={202: shapes.MessageShape, **NOT_YOURS_TO_CHANGE},
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
        wait = wait_in(request)
        turn = turns.resume(signed_in(request), pk)
        return answer_turn(request, turn, 202, wait)


class RegenerateReply(APIView):
    @extend_schema(
        summary="Write another reply to the same message",
        request=None,
        parameters=[OpenApiParameter("wait", bool)],
        responses={202: shapes.TurnShape, **REFUSALS},
    )
    def post(self, request: Request, pk: UUID) -> HttpResponseBase:
        wait = wait_in(request)
        turn = turns.regenerate(signed_in(request), pk)
        return answer_turn(request, turn, 202, wait)
