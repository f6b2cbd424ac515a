"""What the views have in common: whose objects they find, and how they refuse."""

import re
from typing import TypeVar

from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import generics
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from accounts.api.schema import ErrorSerializer
from accounts.authentication.bearer import signed_in
from conversations import access, errors
from conversations.api import serializers as shapes
from conversations.models import Conversation, Message
from conversations.querysets import ConversationQuerySet, MessageQuerySet

REFUSALS = {
    status: OpenApiResponse(ErrorSerializer)
    for status in (400, 401, 403, 404, 409, 429, 503)
}
NOT_YOURS = {status: REFUSALS[status] for status in (401, 404)}
#: Who may read something of somebody else is told that they may not change it.
NOT_YOURS_TO_CHANGE = NOT_YOURS | {403: REFUSALS[403]}
LIMIT = OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 200})

Q = TypeVar("Q", ConversationQuerySet, MessageQuerySet)


def limit_in(request: Request, default: int = 50) -> int:
    given = request.query_params.get("limit", str(default))
    if not re.fullmatch(r"[1-9][0-9]{0,2}", given) or int(given) > 200:
        raise errors.Invalid(_("limit must be a number from 1 to 200."))
    return int(given)


def wait_in(request: Request) -> bool:
    """Whether the client wants to be answered when the reply has ended."""
    given = request.query_params.get("wait", "false").lower()
    if given not in ("true", "1", "false", "0"):
        raise errors.Invalid(_("wait must be true or false."))
    return given in ("true", "1")


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
