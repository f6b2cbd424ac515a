"""What every API answer has in common: the error shape and the pages of a list."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.mediatypes import media_type_matches

from accounts.errors import Refusal

#: Codes of Django REST framework's own errors, in our words.
CODES = {
    "not_authenticated": "not_authenticated",
    "authentication_failed": "not_authenticated",
    "permission_denied": "permission_denied",
    "method_not_allowed": "method_not_allowed",
    "unsupported_media_type": "unsupported_media_type",
    "parse_error": "malformed",
    "not_acceptable": "not_acceptable",
    "not_found": "not_found",
}


#: Much larger numbers no database takes.
LARGEST = 10**15 - 1


class AlwaysJson(BaseContentNegotiation):
    """Answer in JSON whatever is accepted: event streams ask for their own type, and
    their refusals are JSON as everywhere."""

    def select_parser(self, request, parsers):
        for parser in parsers:
            if media_type_matches(parser.media_type, request.content_type):
                return parser
        return None

    def select_renderer(self, request, renderers, format_suffix=None):
        return renderers[0], renderers[0].media_type


class Page(LimitOffsetPagination):
    """A part of a list; what is no number is refused, not taken for the first page."""

    default_limit = 50
    max_limit = 200

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        given = super().get_schema_operation_parameters(view)
        for parameter, least in zip(given, (1, 0), strict=True):  # limit and offset
            parameter["schema"] |= {"minimum": least, "maximum": LARGEST}
        return given

    def get_limit(self, request: Request) -> int:
        return min(_number(request, "limit", self.default_limit, 1), self.max_limit)

    def get_offset(self, request: Request) -> int:
        return _number(request, "offset", 0, 0)


def _number(request: Request, name: str, default: int, least: int) -> int:
    given = request.query_params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,15}", given) or int(given) < least:
        raise exceptions.ValidationError(
            {name: _("This must be a whole number from %d on.") % least}
        )
    return int(given)


def document_refusals(result: dict[str, Any], **_spectacular: Any) -> dict[str, Any]:
    """Say of operations how they refuse who is not signed in, and odd parameters."""
    for path in result["paths"].values():
        for operation in path.values():
            # Wherever the database is needed, it may be away.
            refused = [HTTPStatus.SERVICE_UNAVAILABLE]
            if operation.get("security") and {} not in operation["security"]:
                refused.append(HTTPStatus.UNAUTHORIZED)
            if any(given["in"] == "query" for given in operation.get("parameters", ())):
                refused.append(HTTPStatus.BAD_REQUEST)
            for status in refused:
                schema = {"$ref": "#/components/schemas/Error"}
                content = {"application/json": {"schema": schema}}
                answer = {"description": status.phrase, "content": content}
                operation["responses"].setdefault(str(status.value), answer)
    return result


def document_bodies(result: dict[str, Any], **_spectacular: Any) -> dict[str, Any]:
    """Say that a body is not left out, even where none of its fields is required."""
    for path in result["paths"].values():
        for method, operation in path.items():
            body = operation.get("requestBody", {})
            # Who deletes may have nothing to prove.
            if "application/json" in body.get("content", {}) and method != "delete":
                body["required"] = True
    return result


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what a view raised into `{code, detail, errors?}` (see docs/api.md)."""
    if isinstance(error, Refusal):
        response = Response(error.body, status=error.status)
        if "retry_after" in error.extra:
            response["Retry-After"] = str(error.extra["retry_after"])
        return response
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flatten(error.detail))
        return Response(
            {
                "code": "invalid",
                "detail": " ".join(
                    f"{e['field']}: {e['detail']}" if e["field"] else e["detail"]
                    for e in errors
                ),
                "errors": errors,
            },
            status=400,
        )
    if not isinstance(error, exceptions.APIException):
        return None
    code = getattr(error.detail, "code", error.default_code)
    sentence = str(error.detail)
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, exceptions.NotFound):
        # The same body for what is not there and what is somebody else's.
        sentence = _("There is no such object, or it is not yours.")
    return Response(
        {"code": CODES.get(code, code), "detail": sentence},
        status=error.status_code,
        headers=headers,
    )


def _flatten(detail: Any, field: str = ""):
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from _flatten(value, ".".join(filter(None, [field, name])))
    elif isinstance(detail, list):
        for value in detail:
            yield from _flatten(value, field)
    else:
        yield {
            "field": field,
            "code": getattr(detail, "code", "invalid"),
            "detail": str(detail),
        }
