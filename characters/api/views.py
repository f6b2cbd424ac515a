"""Characters over REST: public ones need no sign-in."""

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, permissions, serializers

from characters.models import Character


class CharacterSerializer(serializers.ModelSerializer):
    avatar_url = serializers.SerializerMethodField()
    boundaries = serializers.ListField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Character
        fields = (
            "slug",
            "name",
            "tagline",
            "description",
            "avatar_url",
            "tone",
            "dominance",
            "affection",
            "explicit_level",
            "boundaries",
            "tags",
            "rating",
        )

    def get_avatar_url(self, character: Character) -> str | None:
        return character.avatar.url if character.avatar else None


class PublicCharacters(generics.GenericAPIView):
    queryset = Character.objects.published()
    serializer_class = CharacterSerializer
    permission_classes = [permissions.AllowAny]


@extend_schema_view(get=extend_schema(summary="List the characters"))
class Characters(PublicCharacters, generics.ListAPIView):
    pass


@extend_schema_view(get=extend_schema(summary="Show a character"))
class OneCharacter(PublicCharacters, generics.RetrieveAPIView):
    lookup_field = "slug"
