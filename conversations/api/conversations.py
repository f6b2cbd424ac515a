"""Conversations over REST."""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_view,
)
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.bodies import ChangesNeedBody
from accounts.authentication.bearer import signed_in
from accounts.models import User
from conversations import access, doorbell, errors, lifecycle, reassignment
from conversations.api import serializers as shapes
from conversations.api.objects import (
    NOT_YOURS,
    NOT_YOURS_TO_CHANGE,
    REFUSALS,
    OwnConversations,
)
from conversations.models import Conversation
from conversations.querysets import ConversationQuerySet
from conversations.rendering import conversation_json
from conversations.sockets import mark_read


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
            raise errors.Invalid(_("user must be the id of a user.")) from None
        except User.DoesNotExist:
            raise errors.NotFound from None
        access.note_listing(user, owner)
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
            403: REFUSALS[403],
            404: REFUSALS[404],
        },
    )
    def post(self, request: Request) -> Response:
        new = shapes.NewConversation(data=request.data)
        new.is_valid(raise_exception=True)
        conversation = lifecycle.begin(signed_in(request), **new.validated_data)
        return Response(conversation_json(conversation), status=201)


class OneConversation(ChangesNeedBody, OwnConversations):
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
        responses={
            200: shapes.ConversationShape,
            400: REFUSALS[400],
            **NOT_YOURS_TO_CHANGE,
        },
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        conversation = self.get_object()
        changes = shapes.ConversationChanges(
            conversation, data=request.data, partial=True
        )
        changes.is_valid(raise_exception=True)
        lifecycle.change(conversation, **changes.validated_data)
        return Response(conversation_json(conversation))

    @extend_schema(
        summary="Delete a conversation with all its messages",
        responses={204: None, **NOT_YOURS_TO_CHANGE},
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        lifecycle.delete(self.get_object())
        return Response(status=204)


class ResetConversation(APIView):
    @extend_schema(
        summary="Close a conversation and open a new one with the same character",
        request=None,
        responses={201: shapes.ConversationShape, **NOT_YOURS_TO_CHANGE},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        return Response(
            conversation_json(lifecycle.reset(signed_in(request), pk)), status=201
        )


class ReadConversation(APIView):
    @extend_schema(
        summary="Note that you have seen all of a conversation",
        request=None,
        responses={204: None, **NOT_YOURS_TO_CHANGE},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        read_at = mark_read(signed_in(request), pk)
        doorbell.ring(signed_in(request).pk, "read", conversation=str(pk), at=read_at)
        return Response(status=204)


class ReassignConversation(APIView):
    @extend_schema(
        operation_id="reassign_conversation",
        summary="Hand a conversation to somebody else",
        description="For supervisors and administrators, among those whom they see. A "
        "note in the conversation says who did it, and `reason`. Answers the "
        "conversation as it is if it is theirs already.",
        request=shapes.Reassignment,
        responses={
            200: shapes.ConversationShape,
            400: REFUSALS[400],
            409: REFUSALS[409],
            **NOT_YOURS_TO_CHANGE,
        },
        examples=[
            OpenApiExample(
                "to somebody who is there tonight",
                value={
                    "user": "0c9f6c52-fe4d-4f4f-8df5-ab7cf2cb3d1e",
                    "reason": "Bob is away until Monday",
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        by = signed_in(request)
        # Who may not is told so before what they sent is looked at.
        reassignment.check(by, pk)
        asked = shapes.Reassignment(data=request.data)
        asked.is_valid(raise_exception=True)
        to, reason = asked.validated_data["user"], asked.validated_data.get("reason")
        conversation = reassignment.reassign(by, pk, to, reason=reason or "")
        return Response(conversation_json(conversation))
