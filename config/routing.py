"""Every socket: one for programs (JSON), one for our own pages (HTML)."""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import WebsocketDenier
from django.urls import re_path

from config.origins import KnownPagesOnly, OwnPagesOnly
from conversations.consumers import JsonConsumer, PagesConsumer

websocket_urls = URLRouter(
    [
        re_path(r"^ws/?$", KnownPagesOnly(JsonConsumer.as_asgi())),
        # A cookie travels with any page's request: only our own origin may use it.
        re_path(
            r"^ws/pages/?$",
            OwnPagesOnly(AuthMiddlewareStack(PagesConsumer.as_asgi())),
        ),
        # Without it an unknown address would be an exception in the log.
        re_path(r"", WebsocketDenier.as_asgi()),
    ]
)
