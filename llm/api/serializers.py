"""How use is told."""

from rest_framework import serializers

from llm.quota import UsageToday


class UsageSerializer(serializers.Serializer[UsageToday]):
    used = serializers.IntegerField(min_value=0)
    limit = serializers.IntegerField(min_value=0)
    remaining = serializers.IntegerField(
        min_value=0, help_text="Neither used nor held for replies being written."
    )
    reset_at = serializers.DateTimeField()
