"""Daphne in this process: its event loop, its socket, and how it ends.

Importing this module installs Twisted's reactor, so only the command that serves
does. It knows nothing of requests; conversations know how to end replies.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from twisted.internet import asyncioreactor

try:
    import uvloop
except ImportError:  # not made for this platform
    uvloop = None  # type: ignore[assignment]

# Before Daphne is imported: it takes the reactor it finds.
loop = uvloop.new_event_loop() if uvloop else asyncio.new_event_loop()
asyncioreactor.install(loop)

import daphne.server  # noqa: E402
from daphne.http_protocol import WebRequest  # noqa: E402
from twisted.internet import reactor, tcp  # noqa: E402
from twisted.internet.endpoints import AdoptedStreamServerEndpoint  # noqa: E402
from twisted.internet.error import ReactorNotRunning  # noqa: E402

from config import bodies  # noqa: E402

daphne.server.twisted_loop.close()

logger = logging.getLogger("tertulia.app")

#: Seconds that the answer to a client who has left may still take.
CLOSE_SECONDS = 5

#: Seconds between two looks at the requests that are still being answered.
PAUSE_SECONDS = 0.05

#: Seconds until a socket must be open: longer than it takes to find out that the
#: database cannot be reached, so that its client is told.
HANDSHAKE_SECONDS = 20


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address; raises OSError where it cannot.

    Clients that come before the server is ready wait in its queue.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Not SO_REUSEPORT: a second server at the same port is a mistake.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


#: How long a thread may hold the interpreter while another waits for it. A statement
#: is over in less than Python's 5 ms, and each would wait that long to go on.
SWITCH_SECONDS = 0.001


class Connection(tcp.Server):
    """A client's connection that sends at once what the kernel takes at once.

    Twisted waits for its loop to say that the socket can be written, each time; that
    costs more than everything else about a short message.
    """

    def write(self, data: bytes) -> None:
        sent = self.writeSomeData(data) if self._is_idle() else 0
        if not isinstance(sent, int):  # the client has left; Twisted will find out, too
            sent = 0
        if sent < len(data):
            super().write(data[sent:])

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))

    def _is_idle(self) -> bool:
        return bool(
            self.connected
            and not self.disconnecting
            and not self._writeDisconnected
            and not self._writeDisconnecting
            and not self._tempDataLen
            and len(self.dataBuffer) == self.offset
        )


class Server(daphne.server.Server):
    """Serve `application` on a listening socket until a signal ends it.

    `background` runs beside the requests. On SIGTERM and SIGINT `drain(seconds)` is
    awaited while requests are still answered; a second signal makes it hurry, a
    third one leaves at once.
    """

    def __init__(
        self,
        application: Any,
        listener: socket.socket,
        background: Callable[[], Awaitable[None]],
        drain: Callable[[float], Awaitable[None]],
        drain_seconds: float,
        ready: Callable[[], None],
    ) -> None:
        super().__init__(
            application,
            endpoints=["given by the listener"],
            signal_handlers=False,
            http_timeout=None,  # an event stream lasts as long as its reply
            websocket_handshake_timeout=HANDSHAKE_SECONDS,
            ping_interval=20,
            ping_timeout=30,
            application_close_timeout=CLOSE_SECONDS,
            ready_callable=self._begin,
            server_name="tertulia",
            verbosity=0,
        )
        self.endpoints: list[str] = []
        self.listener = listener
        self.background = background
        self.drain = drain
        self.drain_seconds = drain_seconds
        self.ready = ready
        self.signals = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def _begin(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        self.http_factory = bodies.Factory(self)
        # Twisted listens on a duplicate and closes the descriptor it is given.
        family = self.listener.family
        endpoint = AdoptedStreamServerEndpoint(reactor, self.listener.detach(), family)
        listening = endpoint.listen(self.http_factory)
        listening.addCallback(lambda port: setattr(port, "transport", Connection))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        self._spawn(self._run_background())
        loop.call_soon(self.ready)

    async def _run_background(self) -> None:
        while True:
            try:
                await self.background()
            except Exception:
                # What sweeps up after crashes must outlive one of its own.
                logger.exception("background work failed")
                await asyncio.sleep(1)
            else:
                return

    def _on_signal(self, number: signal.Signals) -> None:
        self.signals += 1
        if self.signals > 2:
            self.stop()
            return
        patient = number == signal.SIGTERM and self.signals == 1
        self._spawn(self._end(self.drain_seconds if patient else 0))

    async def _end(self, seconds: float) -> None:
        deadline = loop.time() + seconds
        try:
            await self.drain(seconds)
            await self._answer_requests()
            # Some of these may have been admitted before the drain began.
            await self.drain(max(0.0, deadline - loop.time()))
        except Exception:
            logger.exception("replies could not be ended")
        self.stop()

    async def _answer_requests(self) -> None:
        """Let requests that came in time have their answers, if that is soon."""
        for _ in range(int(CLOSE_SECONDS / PAUSE_SECONDS)):
            await asyncio.sleep(PAUSE_SECONDS)
            if not any(map(self._is_answering, self.connections)):
                return

    def _is_answering(self, protocol: Any) -> bool:
        # A socket stays open whether or not something is under way on it.
        has_begun = "application_instance" in self.connections[protocol]
        return has_begun and isinstance(protocol, WebRequest)

    def _spawn(self, work: Any) -> None:
        task = loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def stop(self) -> None:
        for task in self.tasks:
            if task is not asyncio.current_task(loop):
                task.cancel()
        # A second `_end` may come here after the first.
        with contextlib.suppress(ReactorNotRunning):
            super().stop()

    def kill_all_applications(self) -> Any:
        # Daphne's own trips over connections whose application has ended.
        for protocol, details in list(self.connections.items()):
            if "application_instance" not in details:
                del self.connections[protocol]
        return super().kill_all_applications()
