"""What the OpenAPI document says of every operation: who asks, and how it refuses."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers

from accounts.errors import Refusal


class FieldErrorSerializer(serializers.Serializer):
    field = serializers.CharField(help_text="Path of the field; empty for the whole.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ErrorSerializer(serializers.Serializer):
    """The one shape of every refusal; the codes are listed in docs/api.md."""

    code = serializers.CharField(help_text="Stable, for programs.")
    detail = serializers.CharField(help_text="One sentence, for people.")
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]
    retry_after = serializers.IntegerField(
        required=False,
        help_text="Seconds to wait, with `rate_limited` and `overloaded`.",
    )


_INVALID = {
    "code": "invalid",
    "detail": "email: Enter a valid e-mail address.",
    "errors": [
        {"field": "email", "code": "invalid", "detail": "Enter a valid e-mail address."}
    ],
}
_NOT_AUTHENTICATED = {
    "code": "not_authenticated",
    "detail": "This token is not valid or has expired; sign in again.",
}


def refusals(
    *statuses: int, by: tuple[type[Refusal], ...] = ()
) -> dict[int, OpenApiResponse]:
    """Return the error answers of an operation for `extend_schema(responses=...)`.

    400 and 401 in `statuses` bring their usual example; each class of `by` adds its
    status with its code and sentence as an example.
    """
    examples: dict[int, list[OpenApiExample]] = {status: [] for status in statuses}
    usual: dict[int, Any] = {400: _INVALID, 401: _NOT_AUTHENTICATED}
    for status in statuses:
        if status in usual:
            body = usual[status]
            examples[status].append(_example(body["code"], body, status))
    for refusal in by:
        body = {"code": refusal.code, "detail": str(refusal.detail)}
        examples.setdefault(refusal.status, []).append(
            _example(refusal.code, body, refusal.status)
        )
    return {
        status: OpenApiResponse(
            ErrorSerializer, HTTPStatus(status).phrase, examples=examples[status]
        )
        for status in sorted(examples)
    }


class BodyOnDelete(AutoSchema):
    """Describe the body of a DELETE, which drf-spectacular leaves out."""

    def _get_request_body(self, direction: str = "request") -> Any:
        if self.method != "DELETE":
            return super()._get_request_body(direction)
        self.method = "POST"
        try:
            return super()._get_request_body(direction)
        finally:
            self.method = "DELETE"


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.bearer.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class OperatorKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.operator_key.OperatorKeyAuthentication"
    name = "operatorKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "X-Admin-Key"}


def _example(name: str, body: dict[str, Any], status: int) -> OpenApiExample:
    return OpenApiExample(
        name, value=body, response_only=True, status_codes=[str(status)]
    )
