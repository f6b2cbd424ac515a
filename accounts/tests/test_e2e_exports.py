"""An export outlives the process that makes it, and so does a deletion."""

import io
import json
import sqlite3
import time
import zipfile
from contextlib import closing
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest

from config.testing import Server
from config.testing.server import PASSWORD

MESSAGES = 30_000
PATIENCE = 60.0

TALK = f"""
from conversations.models import Conversation, Message
from accounts.models import User
from characters.models import Character
user = User.objects.get(email="alice@example.org")
talk = Conversation.objects.create(user=user, character=Character.objects.first())
rows = [
    Message(conversation=talk, role="user", status="sent", content=f"word {{n}} " * 20)
    for n in range({MESSAGES})
]
for before, message in zip(rows, rows[1:]):
    message.parent = before
Message.objects.bulk_create(rows, batch_size=1000)
talk.head = rows[-1]
talk.save()
"""


def get(server: Server, path: str, token: str) -> bytes:
    headers = {"Authorization": f"Bearer {token}"}
    with urlopen(Request(f"{server.url}/api/v1{path}", headers=headers)) as answer:
        return answer.read()


def until(server: Server, token: str, is_so) -> dict:
    """Return the state of the export as soon as `is_so(state)`."""
    deadline = time.monotonic() + PATIENCE
    while not is_so(state := json.loads(get(server, "/me/export", token))):
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    return state


def users(server: Server) -> int:
    query = "SELECT count(*) FROM accounts_user"
    url = server.environment["DATABASE_URL"]
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            return database.execute(query).fetchone()[0]
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


def test_an_export_is_begun_again_after_the_server_was_killed(server):
    token = server.sign_up()
    server.shell(TALK)
    started = server.post("/me/export", None, token)
    half = until(server, token, lambda state: 0 < state["progress"] < 99)

    server.kill()
    server.start()

    ready = until(server, token, lambda state: state["status"] == "ready")
    assert ready["id"] == half["id"] == started["id"]
    with zipfile.ZipFile(io.BytesIO(get(server, "/me/export/download", token))) as zip:
        (name,) = (n for n in zip.namelist() if n.startswith("conversations/messages/"))
        messages = json.loads(zip.read(name))
    assert len({message["id"] for message in messages}) == MESSAGES
    uploads = server.directory / "var" / "uploads" / "exports"
    assert len(list(uploads.iterdir())) == 1
    assert "Traceback" not in server.log


def test_an_account_goes_when_its_time_has_come_whoever_is_killed(make_server):
    server = make_server(DELETION_GRACE_DAYS="1")
    token = server.sign_up()
    server.shell(TALK)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"password": PASSWORD}).encode()
    url = f"{server.url}/api/v1/me"
    with urlopen(Request(url, body, headers, method="DELETE")) as answer:
        assert answer.status == 202
    with pytest.raises(HTTPError, match="401") as refused:
        get(server, "/me", token)
    refused.value.close()
    assert users(server) == 1

    server.kill()
    server.shell(
        "from accounts.models import User; from django.utils import timezone;"
        "User.objects.update(delete_at=timezone.now())"
    )
    server.start()
    time.sleep(0.5)
    server.kill()
    server.start()

    deadline = time.monotonic() + PATIENCE
    while users(server):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "Traceback" not in server.log
