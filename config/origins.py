"""Which web pages may open a socket; programs send no origin and are not asked.

Browsers let every page open a socket to every server, and send cookies along: neither
the same-origin policy nor CORS holds there.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

Scope = dict[str, Any]
Application = Callable[..., Any]


class OwnPagesOnly:
    """Refuse a handshake unless a page of this very site, port included, asks."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> Any:
        allowed = self.is_allowed(*_origin_and_host(scope))
        application = self.application if allowed else WebsocketDenier.as_asgi()
        return await application(scope, receive, send)

    def is_allowed(self, origin: str | None, host: str) -> bool:
        return origin is not None and _is_own(origin, host)


class KnownPagesOnly(OwnPagesOnly):
    """Refuse pages of other sites than our own and CORS_ALLOWED_ORIGINS."""

    def is_allowed(self, origin: str | None, host: str) -> bool:
        return (
            origin is None
            or origin in settings.CORS_ALLOWED_ORIGINS
            or _is_own(origin, host)
        )


def _origin_and_host(scope: Scope) -> tuple[str | None, str]:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    return headers.get(b"origin"), headers.get(b"host", "")


def _is_own(origin: str, host: str) -> bool:
    """Decide as Django does for forms: the host that was asked, or PUBLIC_URL."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        scheme, address, *rest = urlsplit(origin)
    except ValueError:
        return False
    # A name that an attacker points at this machine is no name of ours.
    is_ours = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
    schemes = ("https",) if settings.IS_HTTPS else ("http", "https")
    return is_ours and scheme in schemes and address == host and not any(rest)
