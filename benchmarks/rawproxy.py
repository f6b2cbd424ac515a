"""Raw ASGI pass-through proxies: the practical limit for a gateway in Python.

Streams POST bodies to UPSTREAM + path and the raw answer bytes back, without parsing.

    RAW_CLIENT=aiohttp uvicorn benchmarks.rawproxy:app --port 9200
"""

import os
from typing import Any

UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:9100")
CLIENT = os.environ.get("RAW_CLIENT", "aiohttp")
_client: Any = None


def client() -> Any:
    global _client
    if _client is None:
        if CLIENT == "httpx":
            import httpx

            limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
            _client = httpx.AsyncClient(base_url=UPSTREAM, timeout=None, limits=limits)
        else:
            import aiohttp

            _client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
            )
    return _client


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {"content-type": "application/json"}
    path = scope["path"]

    async def start(status: int, kind: str) -> None:
        kept = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": status, "headers": kept})

    async def go_on(data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})

    if CLIENT == "httpx":
        async with client().stream("POST", path, content=body, headers=headers) as got:
            await start(got.status_code, got.headers["content-type"])
            async for data in got.aiter_raw():
                await go_on(data)
    else:
        url = UPSTREAM + path
        async with client().post(url, data=body, headers=headers) as got:
            await start(got.status, got.headers["content-type"])
            async for data in got.content.iter_any():
                await go_on(data)
    await send({"type": "http.response.body", "body": b""})
