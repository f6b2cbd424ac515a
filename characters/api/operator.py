"""The operator's API for characters.

For administrators, and for programs with the operator key. What happens to a character
is decided in `administration.py`, what it may be by the model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.fields import get_error_detail
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.avatars import (
    REFUSED_BY,
    UPLOAD,
    sent_picture,
)
from accounts.api.bodies import ChangesNeedBody
from accounts.api.operator import OperatorView
from accounts.api.schema import refusals
from accounts.errors import RateLimited
from characters import administration
from characters.api.serializers import CharacterShape
from characters.errors import HasConversations
from characters.models import Character, CharacterQuerySet

_REFUSED = refusals(401, 403, by=(RateLimited,))
_NO_SUCH = refusals(404)
_WRONG = refusals(400, 401, 403, 415, by=(RateLimited,))

_LUNA = {
    "slug": "luna",
    "name": "Luna",
    "tagline": "Night owl, troublemaker",
    "description": "Restores old jukeboxes by day",
    "avatar_url": None,
    "tone": "playful",
    "dominance": 0.6,
    "affection": 0.8,
    "explicit_level": 1,
    "boundaries": ["Humiliation", "Jealous scenes"],
    "tags": ["playful", "romance"],
    "rating": "adult",
    "greeting": "There you are",
    "model": None,
    "is_public": True,
    "is_archived": False,
    "archived_at": None,
    "created_at": "2026-11-21T09:30:00Z",
    "conversations": 0,
    "system_prompt": "You are Luna.\nNight owl, troublemaker",
}
_PICTURE = "/media/characters/0c9f6c52fe4d4f4f8df5ab7cf2cb3d1e.webp"


class CharacterFilter(serializers.Serializer[Any]):
    """What `GET /admin/characters` can be asked for."""

    q = serializers.CharField(
        required=False, max_length=160, help_text="Part of name, slug or tagline."
    )
    rating = serializers.ChoiceField(Character.Rating.choices, required=False)
    is_archived = serializers.BooleanField(
        required=False, allow_null=True, default=None
    )


def _asked(name: str, /, **body: Any) -> OpenApiExample:
    return OpenApiExample(name, value=body, request_only=True)


def _answered(name: str, status: int = 200, /, **differing: Any) -> OpenApiExample:
    return OpenApiExample(
        name, value=_LUNA | differing, response_only=True, status_codes=[str(status)]
    )


@contextmanager
def _told_by_field() -> Iterator[None]:
    """Answer what the model refuses in the way of what a serializer does."""
    try:
        yield
    except ValidationError as error:
        raise serializers.ValidationError(get_error_detail(error)) from error


class CharacterOperatorView(OperatorView):
    queryset = Character.objects.none()
    serializer_class = CharacterShape
    lookup_field = "slug"

    def get_queryset(self) -> CharacterQuerySet:
        return self.characters()

    def characters(self) -> CharacterQuerySet:
        return Character.objects.select_related("model").with_conversation_count()

    def answer(self, slug: str, status: int = 200) -> Response:
        """Answer with a character as it is stored now."""
        stored = get_object_or_404(self.characters(), slug=slug)
        return Response(CharacterShape(stored).data, status=status)


@extend_schema_view(
    get=extend_schema(
        operation_id="list_characters",
        tags=["admin"],
        summary="List characters, private and archived ones included",
        parameters=[CharacterFilter],
        responses={200: CharacterShape(many=True), **refusals(400), **_REFUSED},
    )
)
class CharactersView(CharacterOperatorView, generics.ListAPIView[Character]):
    def get_queryset(self) -> CharacterQuerySet:
        asked = self.asked(CharacterFilter)
        characters = self.characters()
        if text := asked.get("q"):
            named = Q(name__icontains=text) | Q(slug__icontains=text)
            characters = characters.filter(named | Q(tagline__icontains=text))
        if rating := asked.get("rating"):
            characters = characters.filter(rating=rating)
        if asked["is_archived"] is not None:
            characters = characters.filter(archived_at__isnull=not asked["is_archived"])
        # Where rows are counted the model's own order is not kept.
        return characters.order_by("created_at", "slug")

    @extend_schema(
        operation_id="make_character",
        tags=["admin"],
        summary="Make a character",
        description="All but the name has a default. The answer shows the system "
        "prompt that a model is told. The picture is sent afterwards, as a file.",
        responses={201: CharacterShape} | _WRONG,
        examples=[
            _asked("a name is enough", name="Nora"),
            _asked(
                "for adults",
                name="Luna",
                tone="playful",
                dominance=0.6,
                affection=0.8,
                rating="adult",
                explicit_level=1,
                boundaries=["Humiliation", "Jealous scenes"],
            ),
            _answered("made", 201),
        ],
    )
    def post(self, request: Request) -> Response:
        asked = CharacterShape(data=request.data)
        asked.is_valid(raise_exception=True)
        fields = asked.validated_data
        is_archived = fields.pop("is_archived", False)
        character = Character(**fields)
        with transaction.atomic(), _told_by_field():
            administration.make(character, **self.door())
            administration.change(character, **self.door(), is_archived=is_archived)
        return self.answer(character.slug, 201)


class CharacterView(ChangesNeedBody, CharacterOperatorView):
    @extend_schema(
        operation_id="show_character",
        tags=["admin"],
        summary="Show a character with the prompt it makes",
        responses={200: CharacterShape, **_REFUSED, **_NO_SUCH},
        examples=[_answered("a character")],
    )
    def get(self, request: Request, slug: str) -> Response:
        return Response(CharacterShape(self.get_object()).data)

    @extend_schema(
        operation_id="change_character",
        tags=["admin"],
        summary="Change, archive or restore a character",
        description="Only what is sent changes. With archived characters nobody begins "
        "a conversation; those there are go on. Another `slug` or `avatar_url` than it "
        "has is refused: a slug stays, and the picture is sent as a file.",
        responses={200: CharacterShape} | _WRONG | _NO_SUCH,
        examples=[
            _asked("other sliders", dominance=0.4, affection=0.9),
            _asked("archive", is_archived=True),
            _answered("changed", dominance=0.4, affection=0.9),
        ],
    )
    def patch(self, request: Request, slug: str) -> Response:
        character = self.get_object()
        asked = CharacterShape(character, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        with _told_by_field():
            administration.change(character, **self.door(), **asked.validated_data)
        return self.answer(slug)

    @extend_schema(
        operation_id="delete_character",
        tags=["admin"],
        summary="Delete a character with its picture",
        description="Refused while there are conversations with it: archive it then.",
        responses={204: None}
        | refusals(401, 403, 404, by=(HasConversations, RateLimited)),
    )
    def delete(self, request: Request, slug: str) -> Response:
        administration.delete(self.get_object(), **self.door())
        return Response(status=204)


class CharacterAvatarView(CharacterOperatorView):
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="set_character_avatar",
        tags=["admin"],
        summary="Change a character's picture",
        description="The rules, and what is kept, are those of `PATCH /me/avatar`.",
        request=UPLOAD,
        responses={200: CharacterShape}
        | refusals(400, 401, 403, 404, 415, by=REFUSED_BY),
        examples=[_answered("changed", avatar_url=_PICTURE)],
    )
    def patch(self, request: Request, slug: str) -> Response:
        character, door = self.get_object(), self.door()
        sender = str(door["actor"].pk) if door["actor"] else door["via"]
        picture = sent_picture(request, sender)
        administration.put_avatar(character, picture, **door)
        return self.answer(slug)

    @extend_schema(
        operation_id="remove_character_avatar",
        tags=["admin"],
        summary="Remove a character's picture",
        description="Answers the same when there is none.",
        request=None,
        responses={204: None, **_REFUSED, **_NO_SUCH},
    )
    def delete(self, request: Request, slug: str) -> Response:
        administration.remove_avatar(self.get_object(), **self.door())
        return Response(status=204)
