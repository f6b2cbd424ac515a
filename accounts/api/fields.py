"""Text, ids and numbers as the API takes them: of their own type in JSON."""

from typing import Any

from django.db import models
from rest_framework import serializers


class OnlyText:
    """Refuse what REST framework would turn into text, or into an id."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=data)  # type: ignore[attr-defined]
        return super().to_internal_value(data)  # type: ignore[misc]


class OnlyNumber:
    """Refuse what REST framework would turn into a number: "1", true, "NaN"."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")  # type: ignore[attr-defined]
        return super().to_internal_value(data)  # type: ignore[misc]


class TextField(OnlyText, serializers.CharField):
    pass


class IdField(OnlyText, serializers.UUIDField):
    """An id; REST framework would take the number 1 for one."""


class SlugField(OnlyText, serializers.SlugField):
    pass


class FloatField(OnlyNumber, serializers.FloatField):
    pass


class IntegerField(OnlyNumber, serializers.IntegerField):
    pass


class TextModelSerializer(serializers.ModelSerializer):
    """A model's, whose texts are texts, and numbers numbers."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
        models.TextField: TextField,
        models.SlugField: SlugField,
        models.FloatField: FloatField,
        models.PositiveSmallIntegerField: IntegerField,
    }
