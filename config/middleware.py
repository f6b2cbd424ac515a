"""What happens around every HTTP request."""

import logging
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.errors import Overloaded, Refusal, StorageUnavailable, TooLarge
from accounts.origin import Origin, coming_from, new_request_id
from accounts.throttling import client_ip
from database import metrics
from database.threads import Outage, note_outage

logger = logging.getLogger("tertulia.app")

Answer = Callable[[HttpRequest], HttpResponseBase]

_durations = metrics.histogram(
    "tertulia_http_request_duration_seconds",
    "Seconds until a request was answered, or its stream began, by route.",
    *("method", "route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def measure(get_response: Answer) -> Answer:
    """Count every request, and how long its answer took, by the pattern of its route.

    Files and addresses that there are not have no route; what clients write counts for
    nothing.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        begun = time.perf_counter()
        response = get_response(request)
        note_request(request, response.status_code, time.perf_counter() - begun)
        return response

    return middleware


@metrics.harmless
def note_request(request: HttpRequest, status: int, seconds: float) -> None:
    match = request.resolver_match
    method = request.method if request.method in METHODS else "other"
    _durations.labels(
        method, match.route if match else "none", f"{status // 100}xx"
    ).observe(seconds)


def trace(get_response: Answer) -> Answer:
    """Give every request an id, for the logs, the audit and whoever reports a fault."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        came = Origin(client_ip(request), new_request_id())
        with coming_from(came):
            response = get_response(request)
        response["X-Request-ID"] = came.request_id
        return response

    return middleware


#: What no page of ours asks the browser for; passkeys are for us alone.
PERMISSIONS = ", ".join(
    [
        *(
            f"{feature}=()"
            for feature in (
                *("accelerometer", "camera", "display-capture"),
                *("geolocation", "gyroscope", "hid", "magnetometer", "microphone"),
                *("midi", "payment", "serial", "usb", "xr-spatial-tracking"),
            )
        ),
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
    ]
)


def harden(get_response: Answer) -> Answer:
    """Set the headers of docs/security.md that the policy is not (see `csp`).

    Those that Django has settings for, it sets only on what its middleware lets
    through; a host that it refuses is answered outside of it.
    An answer to somebody known is kept by no cache, unless its view says otherwise.
    """
    of_django = SecurityMiddleware(get_response), XFrameOptionsMiddleware(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response: Any = get_response(request)
        for each in of_django:
            response = each.process_response(request, response)
        response.setdefault("X-Content-Type-Options", "nosniff")
        response.setdefault("Permissions-Policy", PERMISSIONS)
        # Pages of CORS_ALLOWED_ORIGINS may show pictures; the rest is asked by CORS.
        if not request.path_info.startswith(settings.MEDIA_URL):
            response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        is_known = (
            "Authorization" in request.headers
            or settings.SESSION_COOKIE_NAME in request.COOKIES
        )
        if is_known and not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        return response

    return middleware


def optional_slash(get_response: Answer) -> Answer:
    """Let every API path be written with or without a trailing slash.

    A redirect would lose the body of a POST, so the path is read as if it had none.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/") and request.path_info.endswith("/"):
            request.path_info = request.path_info.rstrip("/")
            request.path = request.path.rstrip("/")
        return get_response(request)

    return middleware


def refuse_nul(get_response: Answer) -> Answer:
    """Refuse a query with a NUL in it: nothing here has one, and PostgreSQL fails.

    In the path it is part of no address, and forms and JSON are checked as they are
    read.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("A query cannot contain NUL.")
        return get_response(request)

    return middleware


def limit_body(get_response: Answer) -> Answer:
    """Refuse a body that is too large for what it is, before it is read.

    Of forms with files Django counts what is not a file; `config.bodies` asks for the
    answer to what is too large for everything.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        has_files = request.content_type == "multipart/form-data"
        limit = (
            settings.BODY_MAX_BYTES
            if has_files
            else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        )
        if length.isdigit() and int(length) > limit:
            return answer_too_large(request)
        return get_response(request)

    return middleware


def answer_too_large(request: HttpRequest) -> HttpResponse:
    """Return 413 in the form the client asked for."""
    if request.path_info.startswith("/api/"):
        return JsonResponse(TooLarge().body, status=413)
    return render(request, "413.html", status=413)


class outage:
    """Answer 503 with a sentence while the database cannot be reached.

    What a view raises comes here; what another middleware raises goes to the handler
    of status 500, which calls `answer_outage` too.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponseBase | None:
        if isinstance(error, StorageUnavailable | Overloaded):
            return answer_unavailable(request, error)
        return answer_outage(request, error) if is_outage(error) else None


def is_outage(error: BaseException | None) -> bool:
    """Whether `error` says that the database is away, not that a query is wrong."""
    return isinstance(error, Outage)


def answer_outage(request: HttpRequest, error: BaseException) -> HttpResponse:
    """Return 503 in the form the client asked for, and log why."""
    logger.error("database unavailable", extra={"cause": error})
    note_outage()
    return answer_unavailable(request)


def answer_unavailable(
    request: HttpRequest, refusal: Refusal | None = None
) -> HttpResponse:
    """Return 503 with a sentence, which is about the database if none is given."""
    answer: HttpResponse
    if request.path_info.startswith("/api/"):
        detail = _("The database cannot be reached. Try again in a moment.")
        body = refusal.body if refusal else {"code": "unavailable", "detail": detail}
        answer = JsonResponse(body, status=503)
    else:
        context = {"detail": refusal.detail if refusal else ""}
        answer = render(request, "503.html", context, status=503)
    answer["Retry-After"] = "5"
    return answer
