"""The JSON of accounts."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from rest_framework import serializers
from rest_framework.fields import get_error_detail

from accounts import registration
from accounts.api.fields import OnlyText, TextField, TextModelSerializer
from accounts.authentication.bearer import signed_in
from accounts.data import leaving
from accounts.models import Profile, User, normalize_email, validate_email_spelling
from accounts.wording import INVALID_EMAIL


class EmailField(OnlyText, serializers.EmailField):
    """An address in the one spelling it is stored in, checked in that spelling."""

    default_error_messages = {"invalid": INVALID_EMAIL}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=254, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        return normalize_email(super().to_internal_value(data))


class PasswordField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=1024,
            trim_whitespace=False,
            write_only=True,
            style={"input_type": "password"},
            **kwargs,
        )


class MeSerializer(TextModelSerializer):
    """A user with their profile."""

    id = serializers.UUIDField(source="user.id", read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)
    role = serializers.ChoiceField(
        source="user.role", choices=User.Role.choices, read_only=True
    )
    plan = serializers.SerializerMethodField(
        help_text="Name of the plan whose limits apply, if any."
    )
    avatar_url = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(source="user.created_at", read_only=True)

    class Meta:
        model = Profile
        fields = [
            "id",
            "email",
            "role",
            "plan",
            "display_name",
            "birthdate",
            "gender",
            "language",
            "time_zone",
            "avatar_url",
            "created_at",
        ]

    def get_plan(self, profile: Profile) -> str | None:
        return profile.user.plan.name if profile.user.plan else None

    def get_avatar_url(self, profile: Profile) -> str | None:
        return profile.avatar.url if profile.avatar else None

    def update(self, instance: Profile, validated_data: dict[str, Any]) -> Profile:
        instance.edit(**validated_data)
        return instance


class RegisterSerializer(TextModelSerializer):
    email = EmailField(validators=[validate_email_spelling])
    password = PasswordField()

    class Meta:
        model = Profile
        fields = ["email", "password", "display_name", "birthdate", "gender"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            validate_password(attrs["password"], User(email=attrs["email"]))
        except ValidationError as error:
            raise serializers.ValidationError(
                {"password": get_error_detail(error)}
            ) from error
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Profile:
        request = self.context["request"]._request
        return registration.sign_up(request, **validated_data)

    def to_representation(self, instance: Profile) -> dict[str, Any]:
        return MeSerializer(instance, context=self.context).data


class LoginSerializer(serializers.Serializer):
    email = EmailField()
    password = PasswordField()
    totp = TextField(
        max_length=32,
        required=False,
        allow_blank=True,
        help_text="A code of the authenticator app or for recovery, where one is set "
        "up.",
    )


class RefreshSerializer(serializers.Serializer):
    refresh_token = TextField(max_length=4096)


class TokensSerializer(serializers.Serializer):
    access_token = serializers.CharField(source="access")
    refresh_token = serializers.CharField(source="refresh")
    token_type = serializers.CharField(read_only=True, default="bearer")
    expires_in = serializers.IntegerField(
        help_text="Seconds the access token is good for."
    )


class TicketSerializer(serializers.Serializer):
    ticket = serializers.CharField(help_text="Good for one socket: /ws/?ticket=…")
    expires_in = serializers.IntegerField(help_text="Seconds the ticket is good for.")


class PasswordSerializer(serializers.Serializer):
    password = PasswordField(help_text="The current password.")


class LeavingSerializer(serializers.Serializer):
    """What shows that it is the person who wants to leave; one of the three."""

    password = PasswordField(required=False, help_text="The current password.")
    code = TextField(
        max_length=32,
        required=False,
        help_text="Of who has no password: a code of the app, or for recovery.",
    )
    email = TextField(
        max_length=254,
        required=False,
        help_text="Of who has neither password nor codes: their e-mail, as in `/me`.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        request = self.context["request"]
        user = signed_in(request)
        proof = leaving.proof_of(user)
        if proof not in attrs:
            required = self.fields[proof].error_messages["required"]
            raise serializers.ValidationError({proof: required}, code="required")
        if not leaving.is_proved(request._request, user, proof, attrs[proof]):
            raise serializers.ValidationError({proof: leaving.WRONG[proof]})
        return attrs


class DeletionSerializer(serializers.Serializer):
    delete_at = serializers.DateTimeField(help_text="Sign in before to keep it.")
    is_final = serializers.BooleanField(
        help_text="There are no days of grace: nobody signs in to it any more."
    )
