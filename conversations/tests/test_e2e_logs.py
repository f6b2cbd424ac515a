"""A real server, told one secret of every kind: none of them comes into a log."""

import asyncio
import contextlib
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest
import websockets

from config.testing import Server

MARK = "Xk7Qw"
PASSWORD = f"a {MARK}password long enough"
WRONG = f"a {MARK}wrong password"
SAID = f"my secret {MARK}said is this"
KEY = f"{MARK}operatorkey-that-is-long-enough-for-it"
TOTP, RECOVERY = "918273", f"{MARK}recovery"


@pytest.fixture(params=["files", "console"])
def told(request: Any, tmp_path: Path, migrated: Any) -> Iterator[tuple[Server, str]]:
    """A server and, once it has ended, where its logs are."""
    logs = {"LOG_DIR": str(tmp_path / "logs")} if request.param == "files" else {}
    server = Server(
        tmp_path,
        DATABASE_URL=migrated(),
        ADMIN_SECRET=KEY,
        WS_QUERY_TOKEN="true",
        LOG_LEVEL="DEBUG",
        EMAIL_URL="dummymail://",
        **logs,
    )
    with server:
        yield server, request.param


def ask(server: Server, path: str, body: Any = None, **headers: str) -> str:
    """Send a request, whatever comes of it, and return what is answered."""
    is_form = isinstance(body, str)
    data = None if body is None else body.encode() if is_form else json.dumps(body)
    kind = "application/x-www-form-urlencoded" if is_form else "application/json"
    request = urllib.request.Request(
        f"{server.url}{path}",
        data.encode() if isinstance(data, str) else data,
        {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return str(response.read().decode())
    except HTTPError as error:
        with error:
            return error.read().decode()


async def use_sockets(server: Server, access: str, ticket: str, path: str) -> None:
    for query in (f"ticket={ticket}", f"token={access}", f"ticket={MARK}ticket"):
        with contextlib.suppress(websockets.InvalidStatus):
            async with websockets.connect(f"{server.websocket_url}/ws/?{query}") as ws:
                await ws.send(
                    json.dumps(
                        {"type": "message.send", "conversation_id": path}
                        | {"content": SAID, "client_id": query[:20]}
                    )
                )
                await ws.send(f'{{"type": "{MARK}said"')
                await asyncio.wait_for(ws.recv(), 10)
                await asyncio.sleep(0.5)


def test_no_secret_comes_into_a_log(told: tuple[Server, str]) -> None:
    server, kind = told
    found = re.search(r"/setup/(\S+)", server.log)
    assert found
    link = re.sub(r"\x1b\[[0-9;]*m", "", found[1])
    api = "/api/v1"
    me = {"email": "alice@example.org", "password": PASSWORD}

    ask(server, f"{api}/auth/register", me)
    first = json.loads(ask(server, f"{api}/auth/login", me))
    new = json.loads(
        ask(server, f"{api}/auth/refresh", {"refresh_token": first["refresh_token"]})
    )
    access = new["access_token"]
    bearer = {"Authorization": f"Bearer {access}"}
    ticket = json.loads(ask(server, f"{api}/auth/ws-ticket", {}, **bearer))["ticket"]
    opened = json.loads(
        ask(server, f"{api}/conversations", {"character": "assistant"}, **bearer)
    )
    asyncio.run(use_sockets(server, access, ticket, opened["id"]))
    send = f"{api}/conversations/{opened['id']}/messages?wait=true"
    ask(server, send, {"content": SAID}, **bearer)
    ask(server, send, {"content": f"{SAID}: a naked child"}, **bearer)
    ask(server, send, {"content": 7, "reply_to_id": f"{MARK}said"}, **bearer)
    for code in (TOTP, RECOVERY):
        ask(server, f"{api}/auth/login", {**me, "password": WRONG, "totp": code})
        ask(server, f"{api}/me/totp/confirm", {"code": code}, **bearer)
    ask(server, f"{api}/auth/login", "{" + PASSWORD)
    ask(server, f"{api}/nowhere?{urlencode({'password': PASSWORD, 'token': access})}")
    ask(server, "/?" + urlencode({"q": SAID}), Cookie=f"session={MARK}cookie")
    ask(server, f"/setup/{MARK}link")
    ask(server, "/accounts/login/", urlencode({"login": "a@b.cd", "password": WRONG}))
    ask(server, f"{api}/admin/users", X_Admin_Key=KEY)
    ask(server, f"{api}/admin/teams", {"name": "Team"}, X_Admin_Key=KEY)
    ask(server, f"{api}/admin/users", X_Admin_Key=f"{MARK}wrongkey")
    ask(server, f"{api}/auth/login", me, User_Agent=f"x{'y' * 12_000}")
    ask(server, f"{api}/me", Authorization=f"Bearer {MARK}.token.forged")
    server.terminate()

    files = sorted((server.directory / "logs").glob("*.log"))
    # The set-up link is printed for whoever starts the server, and is no log line.
    printed = [line for line in server.log.splitlines() if link not in line]
    written = "\n".join([*printed, *(file.read_text() for file in files)])
    assert [file.name for file in files] == (
        ["app.log", "audit.log", "auth.log"] if kind == "files" else []
    )
    for event in ("session.opened", "sign_in.failed", "message.blocked", "team.made"):
        assert f"event={event}" in written
    secrets = [MARK, TOTP, link, ticket, access, first["refresh_token"]]
    secrets += [new["refresh_token"], "naked child", "y" * 9000]
    for secret in secrets:
        lines = [line[:300] for line in written.splitlines() if secret in line]
        assert lines == [], secret
    lines = [line for line in written.splitlines() if line.startswith("timestamp=")]
    assert len(lines) > 5
    audited = [line for line in lines if "logger=tertulia.au" in line]
    assert all(re.search(r"request_id=\w{32}", line) for line in audited)
    assert "Traceback" not in written
