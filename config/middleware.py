"""What happens around every HTTP request."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.decorators import sync_and_async_middleware

logger = logging.getLogger("tertulia.app")

Answer = Callable[[HttpRequest], HttpResponseBase]
AsyncAnswer = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def optional_slash(get_response: Any) -> Answer | AsyncAnswer:
    """Let every API path be written with or without a trailing slash.

    A redirect would lose the body of a POST, so the path is read as if it had none.
    """

    def strip(request: HttpRequest) -> None:
        if request.path_info.startswith("/api/") and request.path_info.endswith("/"):
            request.path_info = request.path_info.rstrip("/")
            request.path = request.path.rstrip("/")

    async def amiddleware(request: HttpRequest) -> HttpResponseBase:
        strip(request)
        return await get_response(request)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        strip(request)
        return get_response(request)

    return amiddleware if iscoroutinefunction(get_response) else middleware


@sync_and_async_middleware
class outage:
    """Answer 503 with a sentence while the database cannot be reached.

    What a view raises comes here; what another middleware raises goes to the handler
    of status 500, which calls `answer_outage` too.
    """

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponseBase | None:
        return answer_outage(request, error) if is_outage(error) else None


def is_outage(error: BaseException | None) -> bool:
    """Whether `error` says that the database is away, not that a query is wrong."""
    return isinstance(error, (OperationalError, InterfaceError))


def answer_outage(request: HttpRequest, error: BaseException) -> HttpResponse:
    """Return 503 in the form the client asked for, and log why."""
    logger.error("database unavailable", extra={"cause": repr(error)})
    answer: HttpResponse
    if request.path_info.startswith("/api/"):
        detail = "The database cannot be reached. Try again in a moment."
        answer = JsonResponse({"code": "unavailable", "detail": detail}, status=503)
    else:
        answer = render(request, "503.html", status=503)
    answer["Retry-After"] = "5"
    return answer
