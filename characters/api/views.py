"""Characters over REST: public ones need no sign-in."""

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, permissions

from characters.api.serializers import CharacterSerializer
from characters.models import Character


class PublicCharacters(generics.GenericAPIView[Character]):
    queryset = Character.objects.published()
    serializer_class = CharacterSerializer
    permission_classes = (permissions.AllowAny,)


@extend_schema_view(get=extend_schema(summary="List the characters"))
class Characters(PublicCharacters, generics.ListAPIView[Character]):
    pass


@extend_schema_view(get=extend_schema(summary="Show a character"))
class OneCharacter(PublicCharacters, generics.RetrieveAPIView[Character]):
    lookup_field = "slug"
