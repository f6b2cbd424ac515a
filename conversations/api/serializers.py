"""The shapes of conversations and messages in the API; docs/api.md describes them.

Answers are made by `rendering.py`, the same for every transport; the read-only
serializers here document them.
"""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.api.fields import IdField, TextField, TextModelSerializer
from characters.models import Character
from conversations.models import Conversation, Message
from conversations.reassignment import MAX_REASON


class CharacterInConversation(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    avatar_url = serializers.CharField(allow_null=True)


class ConversationShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    character = CharacterInConversation()
    title = serializers.CharField()
    is_pinned = serializers.BooleanField()
    status = serializers.ChoiceField(Conversation.Status.choices)
    model = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    last_message_at = serializers.DateTimeField()
    last_message_preview = serializers.CharField()
    unread = serializers.IntegerField()


class NewConversation(serializers.Serializer[Any]):
    character = serializers.SlugRelatedField(
        slug_field="slug", queryset=Character.objects.published(), required=False
    )
    character_id = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=Character.objects.published(),
        required=False,
        help_text="The same as `character`.",
    )
    title = TextField(max_length=200, required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        character = attrs.pop("character_id", None) or attrs.get("character")
        if character is None:
            raise serializers.ValidationError(
                {"character": _("Name the character to talk with.")}, code="required"
            )
        return {**attrs, "character": character}


class ConversationChanges(TextModelSerializer):
    class Meta:
        model = Conversation
        fields = ("title", "is_pinned")


class Reassignment(serializers.Serializer[Any]):
    user = IdField(help_text="The id of who gets it; you see them.")
    reason = TextField(
        max_length=MAX_REASON,
        required=False,
        allow_blank=True,
        help_text="Stands in the conversation, for who gets it.",
    )


class UsageShape(serializers.Serializer[Any]):
    prompt = serializers.IntegerField()
    completion = serializers.IntegerField()
    exact = serializers.BooleanField()


class ErrorInMessage(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()


class MessageShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    conversation_id = serializers.UUIDField()
    parent_id = serializers.UUIDField(allow_null=True)
    role = serializers.ChoiceField(Message.Role.choices)
    content = serializers.CharField()
    type = serializers.ChoiceField(Message.Type.choices)
    status = serializers.ChoiceField(Message.Status.choices)
    reply_to_id = serializers.UUIDField(allow_null=True)
    importance_level = serializers.ChoiceField(Message.Importance.choices)
    media_urls = serializers.ListField(child=serializers.CharField())
    client_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    model = serializers.CharField(allow_null=True, required=False)
    finish_reason = serializers.CharField(allow_null=True, required=False)
    usage = UsageShape(allow_null=True, required=False)
    error = ErrorInMessage(allow_null=True, required=False)


class MessagesPage(serializers.Serializer[Any]):
    next = serializers.CharField(
        allow_null=True, help_text="Where the messages before these are."
    )
    results = MessageShape(many=True)


class MessageChanges(serializers.ModelSerializer[Message]):
    class Meta:
        model = Message
        fields = ("importance_level",)


class NewMessage(serializers.Serializer[Any]):
    content = TextField(trim_whitespace=False)
    type = serializers.ChoiceField(Message.Type.choices, required=False)
    media_urls = serializers.ListField(
        child=serializers.URLField(max_length=2000), max_length=20, required=False
    )
    reply_to_id = IdField(required=False, allow_null=True)
    importance_level = serializers.ChoiceField(
        Message.Importance.choices, required=False
    )
    client_id = TextField(max_length=64, required=False, allow_null=True)


class TurnShape(serializers.Serializer[Any]):
    message = MessageShape(allow_null=True)
    reply = MessageShape()


class ChatRequest(serializers.Serializer[Any]):
    """Either `conversation_id` and `content`, or `message`: the first answers with
    events, the second with plain text chunks from the user's default conversation."""

    conversation_id = IdField(required=False)
    content = TextField(required=False, trim_whitespace=False)
    message = TextField(required=False, trim_whitespace=False)
    use_context = serializers.BooleanField(required=False, default=True)
    client_id = TextField(max_length=64, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "message" in attrs:
            return attrs
        for name in ("conversation_id", "content"):
            if name not in attrs:
                raise serializers.ValidationError(
                    {name: _("Send conversation_id and content, or message.")},
                    code="required",
                )
        return attrs
