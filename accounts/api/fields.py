"""Text and ids as the API takes them: JSON strings, and no numbers that could be."""

from typing import Any

from django.db import models
from rest_framework import serializers


class OnlyText:
    """Refuse what REST framework would turn into text, or into an id."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=data)  # type: ignore[attr-defined]
        return super().to_internal_value(data)  # type: ignore[misc]


class TextField(OnlyText, serializers.CharField):
    pass


class IdField(OnlyText, serializers.UUIDField):
    """An id; REST framework would take the number 1 for one."""


class TextModelSerializer(serializers.ModelSerializer):
    """A model's, whose texts are texts."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
    }
