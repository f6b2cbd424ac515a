"""Turn whatever a client library raises into a ProviderError.

It knows HTTP and aiohttp, which carries every remote provider here, and no provider.
The cause is kept for the log, and cut: servers put whole pages into their errors.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from llm.errors import ProviderError

CAUSE_CHARS = 500

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
    words = f"{type(causes[-1]).__name__}: {causes[-1]}"[:CAUSE_CHARS]
    for cause in causes:
        if isinstance(cause, ProviderError):
            return cause
        if isinstance(cause, TimeoutError):
            is_retryable = isinstance(cause, aiohttp.ConnectionTimeoutError)
            words = str(cause) or "nothing came in time"
            return ProviderError("provider_timeout", words, is_retryable=is_retryable)
    if isinstance(causes[-1], ContentEncodingError):
        return ProviderError("provider_bad_response", words)
    if any(isinstance(cause, _DISCONNECTION) for cause in causes):
        return ProviderError("provider_unavailable", words, is_retryable=True)
    return ProviderError("provider_bad_response", words)


def from_status(
    status: int, body: object, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """Return what an HTTP status that promises no reply means.

    A model that is not there (404) is `provider_unavailable`: the operator can do
    something about it, and another message cannot.
    """
    cause = f"HTTP {status}: {body}"[:CAUSE_CHARS]
    retry_after = _retry_after((headers or {}).get("retry-after", ""))
    if status in (401, 402, 403):
        return ProviderError("provider_auth", cause)
    if status == 404:
        return ProviderError("provider_unavailable", cause)
    if status == 429:
        # An account without credit stays so however often it is asked.
        has_credit = "insufficient_quota" not in cause
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
