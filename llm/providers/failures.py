"""Turn whatever a client library raises into a ProviderError.

It knows HTTP and aiohttp, which carries every remote provider here, and no provider.
The cause is kept for the log, so it has codes and kinds alone: in their words servers
repeat the key, the prompt, and whole pages.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from llm.errors import ProviderError

#: What is read of an answer that is an error: its codes come early.
ERROR_BYTES = 4096

#: A code made for programs; what else a server calls one may be anything.
_CODE = re.compile(r"[a-z][a-z0-9_.-]{0,59}")

#: The connection broke, or never came to be.
_DISCONNECTION = (
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    aiohttp.InvalidURL,
    OSError,
)


def from_exception(error: Exception) -> ProviderError:
    """Return what an exception means that no status code explains."""
    causes = list(_causes(error))
    kind = kind_of(causes[-1])
    for cause in causes:
        if isinstance(cause, ProviderError):
            return cause
        if isinstance(cause, TimeoutError):
            is_retryable = isinstance(cause, aiohttp.ConnectionTimeoutError)
            return ProviderError(
                "provider_timeout", kind_of(cause), is_retryable=is_retryable
            )
    if isinstance(causes[-1], ContentEncodingError):
        return ProviderError("provider_bad_response", kind)
    if any(isinstance(cause, _DISCONNECTION) for cause in causes):
        return ProviderError("provider_unavailable", kind, is_retryable=True)
    return ProviderError("provider_bad_response", kind)


def from_status(
    status: int, body: object, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """Return what an HTTP status that promises no reply means.

    A model that is not there (404) is `provider_unavailable`: the operator can do
    something about it, and another message cannot.
    """
    codes = codes_in(body)
    cause = " ".join([f"HTTP {status}", *codes])
    retry_after = _retry_after((headers or {}).get("retry-after", ""))
    if status in (401, 402, 403):
        return ProviderError("provider_auth", cause)
    if status == 404:
        return ProviderError("provider_unavailable", cause)
    if status == 429:
        # An account without credit stays so however often it is asked.
        has_credit = "insufficient_quota" not in str(body)
        return ProviderError(
            "provider_busy", cause, is_retryable=has_credit, retry_after=retry_after
        )
    if status >= 500 or status in (408, 409, 425):
        return ProviderError(
            "provider_unavailable", cause, is_retryable=True, retry_after=retry_after
        )
    if status >= 400:
        return ProviderError("provider_rejected", cause)
    return ProviderError("provider_bad_response", cause)


def kind_of(error: BaseException) -> str:
    """Return what an exception is, and its number if the system gave it one."""
    number = getattr(error, "errno", None)
    name = type(error).__name__
    return f"{name} {number}" if isinstance(number, int) else name


def codes_in(body: object) -> list[str]:
    """Return the `type` and the `code` of an error as servers answer with it.

    `body` is what came, or what has been read of it; there may be nothing in it.
    """
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return []
    error: Any = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return []
    found = [error.get("type"), error.get("code")]
    return [one for one in found if isinstance(one, str) and _CODE.fullmatch(one)]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _retry_after(header: str) -> float | None:
    """Return the seconds a Retry-After header asks for, in either of its forms."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        wait = parsedate_to_datetime(header) - datetime.now(UTC)
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())
