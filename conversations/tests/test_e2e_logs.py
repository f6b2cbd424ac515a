"""A real server, told one secret of every kind: none of them comes into a log."""

import asyncio
import contextlib
import json
import re
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest
import websockets

from accounts.tests.second_factors import code_of
from config.testing import Server
from config.testing.static import collected_for
from llm.tests.faulty_server import FaultyServer

#: Nothing in a log looks like these by chance, nor does a piece of them.
LETTERS = "bcdfghjkmnpqrstvwxz"


def odd(length: int = 24) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


PASSWORD = f"{odd(10)} {odd(10)}"
WRONG = f"{odd(10)} {odd(10)}"
#: What is said, and what is said to be blocked.
SAID, SHORT, BLOCKED = f"{odd(9)} {odd(9)}", odd(9), f"{odd(12)}: a naked child"
GUESS, RECOVERY, COOKIE, LINK, TICKET, FILE = (odd() for _ in range(6))
TOTP = "918273"
ADMIN_KEY, WRONG_KEY, API_KEY = odd(50), odd(50), odd(40)
SETTINGS = {"SECRET_KEY": odd(50), "JWT_SECRET": odd(50), "ADMIN_SECRET": ADMIN_KEY}
MADE_UP = [*SETTINGS.values(), API_KEY, WRONG_KEY, PASSWORD, WRONG, SAID, SHORT]
MADE_UP += [BLOCKED, GUESS, RECOVERY, COOKIE, LINK, TICKET, FILE]
CSRF = odd(32)

#: A piece of a secret that is so long was not left there by chance.
PIECE = 8


@pytest.fixture(params=[("files", "http401"), ("console", "error_event")])
def told(request: Any, tmp_path: Path, migrated: Any) -> Iterator[tuple[Server, str]]:
    """A server of production, and where its logs are: "files" or "console".

    The model server behind it repeats the key and the prompt in its errors. Nobody has
    said how mail is sent.
    """
    kind, fault = request.param
    logs = {"LOG_DIR": str(tmp_path / "logs")} if kind == "files" else {}
    with FaultyServer() as model:
        server = Server(
            tmp_path,
            **SETTINGS,
            **logs,
            DEBUG="false",
            ALLOWED_HOSTS="127.0.0.1",
            DATABASE_URL=migrated(),
            WS_QUERY_TOKEN="true",
            LOG_LEVEL="DEBUG",
            LLM_PROVIDER="openai",
            OPENAI_API="chat",
            OPENAI_BASE_URL=f"{model.url}/v1",
            OPENAI_API_KEY=API_KEY,
            OPENAI_MODEL=fault,
        )
        with collected_for(server), server:
            yield server, kind
        assert any(SAID in str(prompt) for prompt in model.prompts)
        assert model.requests[-1].headers["authorization"] == f"Bearer {API_KEY}"


def ask(server: Server, path: str, body: Any = None, **headers: str) -> str:
    """Send a request, whatever comes of it, and return what is answered.

    A body that is a text is a form, bytes are an upload, everything else is JSON.
    """
    match body:
        case None | bytes():
            data, kind = body, "multipart/form-data; boundary=edge"
        case str():
            data, kind = body.encode(), "application/x-www-form-urlencoded"
        case _:
            data, kind = json.dumps(body).encode(), "application/json"
    method = headers.pop("method", None)
    request = urllib.request.Request(
        f"{server.url}{path}",
        data,
        {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return str(response.read().decode())
    except HTTPError as error:
        with error:
            return error.read().decode()


def submit(server: Server, path: str, **fields: str) -> str:
    """Send the form of a page."""
    form = urlencode({**fields, "csrfmiddlewaretoken": CSRF})
    return ask(server, path, form, Cookie=f"csrf={CSRF}; session={COOKIE}")


async def use_sockets(server: Server, access: str, ticket: str, path: str) -> None:
    for query in (f"ticket={ticket}", f"token={access}", f"ticket={TICKET}"):
        with contextlib.suppress(websockets.InvalidStatus):
            async with websockets.connect(f"{server.websocket_url}/ws/?{query}") as ws:
                await ws.send(
                    json.dumps(
                        {"type": "message.send", "conversation_id": path}
                        | {"content": SAID, "client_id": query[:20]}
                    )
                )
                await ws.send(f'{{"type": "{SHORT}"')
                await asyncio.wait_for(ws.recv(), 10)
                await asyncio.sleep(0.5)


def turn_on_totp(server: Server, bearer: dict[str, str]) -> list[str]:
    """Set a second factor up, sign in with it, and return what must stay secret."""
    api = "/api/v1"
    begun = json.loads(ask(server, f"{api}/me/totp", {"password": PASSWORD}, **bearer))
    secret = begun["secret"]
    code = code_of(secret)
    confirmed = json.loads(
        ask(server, f"{api}/me/totp/confirm", {"code": code}, **bearer)
    )
    codes = confirmed["recovery_codes"]
    me = {"email": "alice@example.org", "password": PASSWORD}
    for value in (TOTP, codes[0]):
        ask(server, f"{api}/auth/login", {**me, "totp": value})
        ask(server, f"{api}/auth/login", {**me, "recovery_code": value})
    return [secret, code, *codes]


def test_no_secret_comes_into_a_log(told: tuple[Server, str]) -> None:
    server, kind = told
    found = re.search(r"/setup/(\S+)", server.log)
    assert found
    link = re.sub(r"\x1b\[[0-9;]*m", "", found[1])
    api = "/api/v1"
    me = {"email": "alice@example.org", "password": PASSWORD}

    for _ in range(2):
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
    for said in (SAID, SHORT, BLOCKED):
        ask(server, send, {"content": said}, **bearer)
    ask(server, send, {"content": 7, "reply_to_id": SHORT}, **bearer)
    of_totp = turn_on_totp(server, bearer)
    for code in (TOTP, RECOVERY):
        ask(server, f"{api}/auth/login", {**me, "password": WRONG, "totp": code})
        ask(server, f"{api}/me/totp/confirm", {"code": code}, **bearer)
    ask(server, f"{api}/auth/login", "{" + PASSWORD)
    ask(server, f"{api}/nowhere?{urlencode({'password': PASSWORD, 'token': access})}")
    ask(server, "/?" + urlencode({"q": SAID}), Cookie=f"session={COOKIE}")
    ask(server, f"/setup/{LINK}")
    ask(server, f"/accounts/password/reset/key/1-{LINK}/")
    ask(server, "/accounts/login/", urlencode({"login": "a@b.cd", "password": WRONG}))
    submit(server, "/accounts/login/", login="alice@example.org", password=WRONG)
    submit(server, "/accounts/password/reset/", email="alice@example.org")
    ask(server, f"{api}/admin/users", X_Admin_Key=ADMIN_KEY)
    ask(server, f"{api}/admin/teams", {"name": "Team"}, X_Admin_Key=ADMIN_KEY)
    ask(server, f"{api}/admin/users", X_Admin_Key=WRONG_KEY)
    disposition = f'form-data; name="file"; filename="{FILE}.png"'
    upload = f"--edge\r\nContent-Disposition: {disposition}\r\n\r\n{SAID}\r\n--edge--"
    ask(server, f"{api}/me/avatar", upload.encode(), method="PATCH", **bearer)
    ask(server, f"{api}/auth/login", me, User_Agent=f"x{'y' * 12_000}")
    ask(server, f"{api}/me", Authorization=f"Bearer {GUESS}.token.forged")
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
    assert written.count('event="provider failed"') >= 2
    kept = [*MADE_UP, link, ticket, access, first["refresh_token"], "y" * 9000]
    kept += [new["refresh_token"], *of_totp]
    pieces = {TOTP, "naked child", *of_totp}
    for value in kept:
        pieces |= {value[at : at + PIECE] for at in range(len(value) - PIECE + 1)}
    # The head of every JWT says the same of all.
    head = access.partition(".")[0]
    pieces -= {head[at : at + PIECE] for at in range(len(head))}
    low = written.lower()
    leaked = {piece for piece in pieces if piece.lower() in low}
    lines = [
        line[:300]
        for line in written.splitlines()
        if any(piece.lower() in line.lower() for piece in leaked)
    ]
    assert (leaked, lines) == (set(), [])
    lines = [line for line in written.splitlines() if line.startswith("timestamp=")]
    assert len(lines) > 5
    # Every line is one of ours, but for what is said at the start; no mail is printed.
    said = [line for line in printed if not line.startswith("timestamp=")]
    assert [line.partition(" ")[0] for line in said] == ["Tertulia", "Ctrl-C"]
    audited = [line for line in lines if "logger=tertulia.au" in line]
    assert all(re.search(r"request_id=\w{32}", line) for line in audited)
    assert "Traceback" not in written
