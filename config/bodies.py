"""Bodies of requests as they arrive: what is too large is refused before it is read.

Twisted collects a whole body in a file before anybody is asked, whatever its size.
Here the answer goes out as soon as the size is known. `settings.BODY_MAX_BYTES` is for
every request; what a form without files or JSON may have is Django's to check, and
`config.middleware.limit_body`'s.
"""

import asyncio
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.base import BaseHandler
from twisted.web.http import HTTPChannel

#: Seconds for which a refused client may go on sending. A connection that is closed
#: at once is reset, and most clients then never read why.
LINGER_SECONDS = 5

#: Of an answer that shows nothing and names nobody.
BARE_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@cache
def refusal() -> BaseHandler:
    """Return Django's handler, to be asked here for what `limit_body` answers.

    That is before anything that would wait for the database or a view.
    """
    handler = BaseHandler()
    handler.load_middleware()
    return handler


class Request(WebRequest):
    """Daphne's, of which the length of the body is known and bounded."""

    length = 0
    declared = 0
    is_refused = False

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        self.declared = length or 0
        if self.declared > settings.BODY_MAX_BYTES:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self.length += len(data)
        if self.is_refused:
            return
        if self.length > settings.BODY_MAX_BYTES:
            self._refuse()
        else:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self.is_refused:
            self.channel.loseConnection()
            return
        if self.requestHeaders.hasHeader(b"transfer-encoding"):
            # Django and REST framework believe only this, and take a body that came
            # in chunks for none.
            length = str(self.length).encode()
            self.requestHeaders.setRawHeaders(b"content-length", [length])
        super().requestReceived(command, path, version)

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        # What Daphne itself refuses is no request that anybody could be asked about.
        for name, value in BARE_HEADERS:
            self.responseHeaders.setRawHeaders(name, [value])
        super().basic_error(status, status_text, body)

    def _refuse(self) -> None:
        self.is_refused = True
        # Twisted would send a "continue" after the refusal.
        self.requestHeaders.removeHeader(b"expect")
        self.content.truncate(0)
        answer: Any = refusal().get_response(self._as_django_sees_it())
        answer["Content-Length"] = str(len(answer.content))
        answer["Connection"] = "close"
        head = f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}\r\n"
        parts = [head.encode(), answer.serialize_headers(), b"\r\n\r\n", answer.content]
        self.channel.transport.write(b"".join(parts))
        loop = asyncio.get_running_loop()
        self._abort = loop.call_later(LINGER_SECONDS, self.channel.forceAbortClient)

    def _as_django_sees_it(self) -> ASGIRequest:
        """Return this request without its body, of which only the length counts.

        Twisted tells a request what is asked for when its body is there.
        """
        path, _, query = self.channel._path.partition(b"?")
        headers = [
            (name.lower(), value)
            for name, values in self.requestHeaders.getAllRawHeaders()
            if name.lower() != b"content-length" and b"_" not in name
            for value in values
        ]
        length = str(max(self.length, self.declared)).encode()
        peer = self.channel.getPeer()
        return ASGIRequest(
            {
                "type": "http",
                "method": self.channel._command.decode("latin-1"),
                "path": unquote(path.decode("latin-1")),
                "scheme": "https" if self.isSecure() else "http",
                "query_string": query,
                "headers": [*headers, (b"content-length", length)],
                "client": [str(peer.host), peer.port],
            },
            BytesIO(),
        )

    def connectionLost(self, reason: Any) -> None:
        if self.is_refused:
            self._abort.cancel()
        super().connectionLost(reason)


class Factory(HTTPFactory):
    """Daphne's, for requests as they are here."""

    def buildProtocol(self, addr: Any) -> HTTPChannel:
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = Request
        return protocol
