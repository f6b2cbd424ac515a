"""The ASGI application: HTTP to Django, sockets to the consumers."""

import os
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter  # noqa: E402

from config.routing import websocket_urls  # noqa: E402


class Handler(ASGIHandler):
    """Django's, with middleware and view of a request in one thread from end to end.

    Our views are synchronous. Django's own way goes back and forth between the thread
    and the event loop at almost every middleware, which costs more than the view.
    Only what a view returns to be streamed runs in the event loop.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        answer: Any = sync_to_async(self.get_response, thread_sensitive=True)
        return await answer(request)


application = ProtocolTypeRouter({"http": Handler(), "websocket": websocket_urls})
