"""The JSON of characters: as everybody sees them, and as the operator does."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.api.fields import OnlyText, SlugField, TextField, TextModelSerializer
from characters.models import Character
from characters.persona import system_prompt
from characters.rules import BOUNDARIES, TAGS, Lines
from llm.models import LanguageModel


class LinesField(serializers.ListField):
    def __init__(self, lines: Lines, **kwargs: Any) -> None:
        child = TextField(max_length=lines.longest)
        super().__init__(child=child, max_length=lines.most, required=False, **kwargs)


class ModelField(OnlyText, serializers.SlugRelatedField[LanguageModel]):
    """A model by its label, as conversations name theirs."""

    default_error_messages = {
        "ambiguous": _("Several models have the label {value}; rename all but one."),
    }

    def __init__(self, **kwargs: Any) -> None:
        models = LanguageModel.objects.all()
        super().__init__(slug_field="label", queryset=models, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        try:
            return super().to_internal_value(data)
        except LanguageModel.MultipleObjectsReturned:
            self.fail("ambiguous", value=data)


class CharacterSerializer(TextModelSerializer):
    avatar_url = serializers.SerializerMethodField()
    boundaries = LinesField(BOUNDARIES, help_text="What the character never does.")
    tags = LinesField(TAGS)

    class Meta:
        model = Character
        fields: tuple[str, ...] = (
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


class CharacterShape(CharacterSerializer):
    """A character as the operator sees and changes it."""

    slug = SlugField(
        max_length=60,
        required=False,
        help_text="Made of the name where none is given; it never changes.",
    )
    model = ModelField(
        required=False,
        allow_null=True,
        help_text="Label of the model that answers; null leaves it to the default.",
    )
    is_archived = serializers.BooleanField(
        required=False, help_text="Nobody begins a conversation with it any more."
    )
    conversations = serializers.IntegerField(
        source="conversation_count", read_only=True, help_text="How many there are."
    )
    system_prompt = serializers.SerializerMethodField(
        help_text="What a model is told, as persona, sliders and boundaries make it."
    )

    class Meta(CharacterSerializer.Meta):
        fields = (
            *CharacterSerializer.Meta.fields,
            "greeting",
            "model",
            "is_public",
            "is_archived",
            "archived_at",
            "created_at",
            "conversations",
            "system_prompt",
        )
        read_only_fields = ("archived_at", "created_at")

    def get_system_prompt(self, character: Character) -> str:
        return system_prompt(character)

    def validate_slug(self, slug: str) -> str:
        if self.instance is not None and slug != self.instance.slug:
            raise serializers.ValidationError(
                _("A slug stays as it is: addresses and conversations name it."),
                code="read_only",
            )
        return slug

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse another `avatar_url` than there is: nothing would come of it."""
        now = self.get_avatar_url(self.instance) if self.instance else None
        if self.initial_data.get("avatar_url", now) != now:
            slug = self.instance.slug if self.instance else "{slug}"
            told = _(
                "Send the picture itself: PATCH %(address)s, multipart/form-data, with "
                "the picture as “file”."
            ) % {"address": f"/api/v1/admin/characters/{slug}/avatar"}
            raise serializers.ValidationError({"avatar_url": told}, code="read_only")
        return attrs
