"""The default conversation, where messages go that name none."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication.bearer import signed_in
from conversations import lifecycle
from conversations.api import serializers as shapes
from conversations.api.objects import LIMIT, REFUSALS, limit_in
from conversations.models import Message
from conversations.rendering import message_json


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
