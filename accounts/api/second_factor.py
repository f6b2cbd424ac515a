"""Setting up the second factor over the API, for oneself."""

from typing import Any

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from cryptography.fernet import InvalidToken
from django.db import IntegrityError
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.fields import TextField
from accounts.api.schema import BodyOnDelete, refusals
from accounts.api.serializers import PasswordField, PasswordSerializer
from accounts.api.views import confirm_password
from accounts.authentication.bearer import signed_in
from accounts.errors import (
    InvalidTotp,
    RateLimited,
    SecondFactorRequired,
    TotpDisabled,
    TotpEnabled,
    TotpNotBegun,
)
from accounts.mfa import removal, sealing, second_factor
from accounts.mfa.adapter import WRONG_FIRST_CODE
from accounts.models import TotpSetup, User

_ASKED = {"password": "correct horse battery", "code": "287082"}
_CODES = {"recovery_codes": ["493820174655", "028374650192"]}


class StateSerializer(serializers.Serializer[Any]):
    """What a person has for a second factor."""

    is_enabled = serializers.BooleanField(help_text="Signing in asks for it.")
    is_required = serializers.BooleanField(help_text="The operator wants it.")
    has_totp = serializers.BooleanField()
    passkeys = serializers.IntegerField()
    recovery_codes_left = serializers.IntegerField()


class SecretSerializer(serializers.Serializer[Any]):
    secret = serializers.CharField(help_text="Base32, to be typed into an app.")
    otpauth_url = serializers.CharField(help_text="The same, to be shown as a QR code.")


class CodeField(TextField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=32, **kwargs)


class ConfirmSerializer(serializers.Serializer[Any]):
    code = CodeField(help_text="What the app shows now.")


class ProofSerializer(serializers.Serializer[Any]):
    password = PasswordField(help_text="The current password.")
    code = CodeField(help_text="A code of the app, or for recovery; used up by this.")


class RecoveryCodesSerializer(serializers.Serializer[Any]):
    recovery_codes = serializers.ListField(
        child=serializers.CharField(),
        help_text="Shown only now; each opens the door once.",
    )


@method_decorator(never_cache, name="dispatch")
class SecondFactorView(generics.GenericAPIView[Any]):
    before_second_factor = True
    schema = BodyOnDelete()

    def given(self) -> dict[str, Any]:
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def prove(self) -> User:
        """Return who asks, once password and code have shown that it is them."""
        user, given = signed_in(self.request), self.given()
        confirm_password(self.request, given["password"])
        if not second_factor.verify(user, given["code"]):
            raise _wrong_code(InvalidTotp.detail)
        return user


class TotpView(SecondFactorView):
    def get_serializer_class(self) -> type[serializers.Serializer[Any]]:
        return (
            ProofSerializer if self.request.method == "DELETE" else PasswordSerializer
        )

    @extend_schema(
        operation_id="second_factor",
        tags=["me"],
        summary="My second factor",
        responses={200: StateSerializer} | refusals(401),
    )
    def get(self, request: Request) -> Response:
        return Response(StateSerializer(second_factor.state(signed_in(request))).data)

    @extend_schema(
        operation_id="begin_totp",
        tags=["me"],
        summary="Begin to set up an authenticator app",
        description="Answers a new secret, which counts for nothing until a code made "
        "of it comes to `/me/totp/confirm`, within ten minutes.",
        request=PasswordSerializer,
        responses={200: SecretSerializer}
        | refusals(400, 401, 415, by=(TotpEnabled, RateLimited)),
        examples=[
            OpenApiExample(
                "a secret",
                value={
                    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
                    "otpauth_url": "otpauth://totp/alice%40example.com?secret="
                    "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Tertulia",
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def post(self, request: Request) -> Response:
        user, given = signed_in(request), self.given()
        confirm_password(request, given["password"])
        if second_factor.has_totp(user):
            raise TotpEnabled
        secret = generate_totp_secret()
        begun = {"secret": sealing.seal(secret), "begun_at": timezone.now()}
        TotpSetup.objects.expired().delete()
        TotpSetup.objects.update_or_create(user=user, defaults=begun)
        url = get_adapter().build_totp_url(user, secret)
        return Response({"secret": secret, "otpauth_url": url})

    @extend_schema(
        operation_id="remove_totp",
        tags=["me"],
        summary="Remove my authenticator app",
        description="Where no passkey is left, the recovery codes go, too. Ends every "
        "other session.",
        request=ProofSerializer,
        responses={204: None}
        | refusals(400, 401, 415, by=(SecondFactorRequired, TotpDisabled, RateLimited)),
        examples=[OpenApiExample("remove", value=_ASKED, request_only=True)],
    )
    def delete(self, request: Request) -> Response:
        user = signed_in(request)
        # Before a code is used up for it.
        removal.check_totp(user)
        removal.remove_totp(self.prove())
        _tell(user, "totp_deactivated")
        return Response(status=204)


class ConfirmTotpView(SecondFactorView):
    serializer_class = ConfirmSerializer

    @extend_schema(
        operation_id="confirm_totp",
        tags=["me"],
        summary="Finish setting up an authenticator app",
        description="From now on signing in asks for a code. Answers ten recovery "
        "codes, in the place of those there were; ends every other session.",
        responses={200: RecoveryCodesSerializer}
        | refusals(400, 401, 415, by=(TotpEnabled, TotpNotBegun, RateLimited)),
        examples=[
            OpenApiExample("a code", value={"code": "287082"}, request_only=True),
            OpenApiExample(
                "set up", value=_CODES, response_only=True, status_codes=["200"]
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        user, code = signed_in(request), self.given()["code"]
        begun = TotpSetup.objects.unexpired().filter(user=user).first()
        if begun is None:
            raise TotpEnabled if second_factor.has_totp(user) else TotpNotBegun
        try:
            secret = sealing.unseal(begun.secret)
        except InvalidToken:  # SECRET_KEY was another
            raise TotpNotBegun from None
        step = second_factor.first_step(user, secret, code)
        if step is None:
            raise _wrong_code(WRONG_FIRST_CODE)
        try:
            codes = second_factor.add_totp(user, secret, used=step)
        except IntegrityError:
            raise TotpEnabled from None
        begun.delete()
        _tell(user, "totp_activated")
        return Response({"recovery_codes": codes})


class RecoveryCodesView(SecondFactorView):
    serializer_class = ProofSerializer

    @extend_schema(
        operation_id="renew_recovery_codes",
        tags=["me"],
        summary="Get new recovery codes",
        description="The old ones are dead. Ends every other session.",
        responses={200: RecoveryCodesSerializer}
        | refusals(400, 401, 415, by=(TotpDisabled, RateLimited)),
        examples=[
            OpenApiExample("renew", value=_ASKED, request_only=True),
            OpenApiExample(
                "renewed", value=_CODES, response_only=True, status_codes=["200"]
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        if not second_factor.is_enabled(signed_in(request)):
            raise TotpDisabled
        user = self.prove()
        codes = second_factor.renew_recovery_codes(user)
        _tell(user, "recovery_codes_generated")
        return Response({"recovery_codes": codes})


def _wrong_code(sentence: str | Promise) -> serializers.ValidationError:
    return serializers.ValidationError({"code": str(sentence)}, code="invalid_totp")


def _tell(user: User, what: str) -> None:
    get_account_adapter().send_notification_mail(f"mfa/email/{what}", user)
