"""Bodies of requests as they arrive: what is too large is refused before it is read.

Twisted collects a whole body in a file before anybody is asked, whatever its size.
Here the answer goes out as soon as the size is known. `settings.BODY_MAX_BYTES` is for
every request; what a form without files or JSON may have is Django's to check, and
`config.middleware.limit_body`'s.
"""

import asyncio
import json
from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings
from twisted.web.http import HTTPChannel

from accounts.errors import TooLarge

#: Seconds for which a refused client may go on sending. A connection that is closed
#: at once is reset, and most clients then never read why.
LINGER_SECONDS = 5


class Request(WebRequest):
    """Daphne's, of which the length of the body is known and bounded."""

    length = 0
    is_refused = False

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length is not None and length > settings.BODY_MAX_BYTES:
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

    def _refuse(self) -> None:
        self.is_refused = True
        # Twisted would send a "continue" after the refusal.
        self.requestHeaders.removeHeader(b"expect")
        self.content.truncate(0)
        body = json.dumps(TooLarge().body).encode()
        head = (
            "HTTP/1.1 413 Content Too Large\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        self.channel.transport.write(head.encode() + body)
        loop = asyncio.get_running_loop()
        self._abort = loop.call_later(LINGER_SECONDS, self.channel.forceAbortClient)

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
