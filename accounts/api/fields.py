"""Text as the API takes it: a JSON string, and no number written down as one."""

from typing import Any

from django.db import models
from rest_framework import serializers


class OnlyText:
    """Refuse what REST framework would turn into text."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")  # type: ignore[attr-defined]
        return super().to_internal_value(data)  # type: ignore[misc]


class TextField(OnlyText, serializers.CharField):
    pass


class TextModelSerializer(serializers.ModelSerializer):
    """A model's, whose texts are texts."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
    }
