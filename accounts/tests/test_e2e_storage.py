"""What people upload and fetch, over real HTTP, with a disk and with a bucket."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import boto3
import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from moto.server import ThreadedMotoServer

from accounts.tests.buckets import Hanging
from accounts.tests.uploads import opened, picture, upload
from config.testing import Server
from config.testing.server import PASSWORD

NAME = "0123456789abcdef0123456789abcdef.webp"
APART = b"kept apart"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
#: Seconds the chores may take to make an export or to delete an account.
PATIENCE = 90.0


@dataclass
class Answer:
    response: HTTPResponse
    body: bytes

    @property
    def status(self) -> int:
        return self.response.status

    def __getitem__(self, header: str) -> str:
        return self.response.headers.get(header, "")


@dataclass
class Site:
    """A server, and what lies in its storage."""

    server: Server
    bucket: Any

    def ask(self, method: str, path: str, body=None, port: int = 0, **headers: str):
        """Send a request whose path is what is given, to the letter."""
        connection = HTTPConnection("127.0.0.1", port or self.server.port, timeout=60)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, names)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def send(self, token: str, content: bytes | None = None, port: int = 0) -> Answer:
        body = encode_multipart(BOUNDARY, {"file": upload(content or picture())})
        bearer = {"Authorization": f"Bearer {token}", "Content_Type": MULTIPART_CONTENT}
        return self.ask("PATCH", "/api/v1/me/avatar", body, port, **bearer)

    def keep(self, name: str, content: bytes = APART) -> None:
        """Put something into the storage that nobody uploaded."""
        if self.bucket:
            self.bucket.put_object(Key=name, Body=content)
            return
        path = self.server.directory / "var" / "uploads" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def stored(self, folder: str) -> list[str]:
        if self.bucket:
            return [found.key for found in self.bucket.objects.filter(Prefix=folder)]
        uploads = self.server.directory / "var" / "uploads"
        found = (uploads / folder).rglob("*")
        return [str(path.relative_to(uploads)) for path in found if path.is_file()]


def in_bucket() -> Iterator[tuple[Any, dict[str, str]]]:
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.resource("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
    environment = {
        "STORAGE_BACKEND": "s3",
        "S3_BUCKET": "uploads",
        "S3_ENDPOINT_URL": endpoint,
        "S3_ACCESS_KEY_ID": "test",
        "S3_SECRET_ACCESS_KEY": "test",
    }
    yield s3.create_bucket(Bucket="uploads"), environment
    s3.meta.client.close()
    moto.stop()


def on_disk() -> Iterator[tuple[Any, dict[str, str]]]:
    yield None, {}


@pytest.fixture(scope="module", params=[on_disk, in_bucket])
def site(request, tmp_path_factory, migrated) -> Iterator[Site]:
    for bucket, environment in request.param():
        directory = tmp_path_factory.mktemp("storage")
        environment |= {"DATABASE_URL": migrated(), "DELETION_GRACE_DAYS": "0"}
        with Server(directory, **environment) as server:
            yield Site(server, bucket)


@pytest.fixture(scope="module")
def alice(site) -> str:
    return site.server.sign_up()


@pytest.fixture(scope="module")
def url(site, alice) -> str:
    return json.loads(site.send(alice).body)["avatar_url"]


def test_a_picture_is_a_picture_and_nothing_else(site, url):
    answer = site.ask("GET", url)

    assert answer.status == 200
    assert opened(answer.body).size == (512, 512)
    assert answer["Content-Type"] == "image/webp"
    assert answer["Content-Length"] == str(len(answer.body))
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Content-Disposition"] == 'inline; filename="avatar.webp"'
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"


def test_its_type_is_fixed_whatever_lies_there(site):
    site.keep(f"characters/{NAME}", b"<script>alert(1)</script>")

    answer = site.ask("GET", f"/media/characters/{NAME}", Accept="text/html")

    assert answer["Content-Type"] == "image/webp"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_head_has_the_headers_of_a_get_and_no_body(site, url):
    got, asked = site.ask("GET", url), site.ask("HEAD", url)

    assert (asked.status, asked.body) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control"):
        assert asked[name] == got[name] != ""


def test_it_is_not_sent_again_to_who_has_it(site, url):
    etag = site.ask("GET", url)["ETag"]

    for method in ("GET", "HEAD"):
        for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            answer = site.ask(method, url, If_None_Match=known)
            assert (answer.status, answer.body) == (304, b""), known
            assert answer["ETag"] == etag
    assert site.ask("GET", url, If_None_Match='"other"').status == 200


def test_it_comes_whole_whatever_part_is_asked_for(site, url):
    whole = site.ask("GET", url)

    assert whole["Accept-Ranges"] == "none"
    for part in ("bytes=0-9", "bytes=-5", "bytes=9999999-", "bytes=0-1,3-4", "x"):
        answer = site.ask("GET", url, Range=part)
        assert (answer.status, answer.body) == (200, whole.body), part
        assert answer["Content-Range"] == ""


def test_it_takes_no_other_method(site, url):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert site.ask(method, url).status in (403, 405)
    assert site.ask("GET", url).status == 200


def test_nothing_is_listed_and_no_path_leads_elsewhere(site):
    outside = site.server.directory / "var" / "outside.webp"
    outside.write_bytes(APART)
    for name in (
        "secret.txt",
        NAME,
        f"exports/{NAME}",
        "avatars/page.html",
        f"avatars/deeper/{NAME}",
    ):
        site.keep(name)
    up = ("..", "%2e%2e", "%2E%2e", ".%2e", "%252e%252e", "..%2f", "..;", "..\\")
    outside_of_uploads = "/".join([".."] * 9)
    paths = [
        "/media",
        "/media/",
        "//media/",
        "/media//",
        "/media/avatars",
        "/media/avatars/",
        "/media/avatars//",
        "/media/characters/",
        "/media/exports/",
        "/media/.",
        "/media/..",
        "/media/../",
        "/media/secret.txt",
        f"/media/{NAME}",
        f"/media/exports/{NAME}",
        "/media/avatars/page.html",
        f"/media/avatars/deeper/{NAME}",
        f"/media/avatars/{NAME}",
        f"/media/avatars/{NAME}%00",
        f"/media/avatars/{NAME}%0a",
        f"/media/avatars//{NAME}",
        f"//media/exports/{NAME}",
        f"///media/exports/{NAME}",
        "/media//etc/passwd",
        "//etc/passwd",
        "/media/%2fetc%2fpasswd",
        f"/media/avatars/{outside_of_uploads}/etc/passwd",
        *(f"/media/{one}/outside.webp" for one in up),
        *(f"/media/avatars/{one}/secret.txt" for one in up),
        *(f"/media/avatars/{one}/exports/{NAME}" for one in up),
        *(f"/media/avatars/{one}{one}/outside.webp" for one in up),
    ]
    for path in paths:
        for method in ("GET", "HEAD"):
            answer = site.ask(method, path)
            assert answer.status in (400, 404), (path, answer.status)
            assert answer["Location"] == "", path
            assert APART not in answer.body, path
            assert b"root:" not in answer.body, path
            assert b"page.html" not in answer.body or "page.html" in path, path


def test_of_ten_uploads_at_once_to_two_processes_one_file_is_left(site):
    token = site.server.sign_up("bob@example.org")
    mine = set(site.stored("avatars"))
    directory = site.server.directory / "second"
    directory.mkdir()
    environment = {**site.server.environment, "PORT": ""}
    with Server(directory, **environment) as second:
        ports = [site.server.port, second.port] * 5

        def put(number: int) -> Answer:
            content = picture((number * 20, 0, 0))
            return site.send(token, content, ports[number])

        with ThreadPoolExecutor(10) as threads:
            answers = list(threads.map(put, range(10)))

    assert [answer.status for answer in answers] == [200] * 10
    me = site.ask("GET", "/api/v1/me", Authorization=f"Bearer {token}")
    kept = json.loads(me.body)["avatar_url"]
    left = set(site.stored("avatars")) - mine
    assert [f"/media/{name}" for name in left] == [kept]
    assert site.ask("GET", kept).status == 200


def test_an_export_is_made_and_fetched_and_goes_with_the_account(site, tmp_path):
    token = site.server.sign_up("dora@example.org")
    bearer = {"Authorization": f"Bearer {token}"}
    avatar = json.loads(site.send(token).body)["avatar_url"].removeprefix("/media/")
    export = "/api/v1/me/export"
    assert site.ask("POST", export, **bearer).status == 202
    until(
        lambda: json.loads(site.ask("GET", export, **bearer).body)["status"] == "ready"
    )

    answer = site.ask("GET", f"{export}/download", **bearer)

    assert answer.status == 200
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Length"] == str(len(answer.body))
    assert answer["Content-Disposition"].startswith('attachment; filename="tertulia-')
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]
    path = tmp_path / "everything.zip"
    path.write_bytes(answer.body)
    subprocess.run([sys.executable, "-m", "zipfile", "-t", path], check=True)
    (stored,) = (name for name in site.stored("exports/") if name.endswith(".zip"))
    assert site.ask("GET", f"/media/{stored}").status == 404

    left = site.ask(
        "DELETE",
        "/api/v1/me",
        json.dumps({"password": PASSWORD}),
        Content_Type="application/json",
        **bearer,
    )
    assert (left.status, json.loads(left.body)["is_final"]) == (202, True)
    assert site.ask("GET", "/api/v1/me", **bearer).status == 401
    until(lambda: avatar not in site.stored("avatars/"))
    until(lambda: stored not in site.stored("exports/"))
    assert "Traceback" not in site.server.log


def until(is_so) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_everything_else_goes_on_while_the_bucket_hangs(make_server):
    with Hanging() as hanging:
        server = make_server(
            STORAGE_BACKEND="s3",
            S3_BUCKET="uploads",
            S3_ACCESS_KEY_ID="test",
            S3_SECRET_ACCESS_KEY="test",
            S3_ENDPOINT_URL=hanging.endpoint,
        )
        site = Site(server, None)
        token = server.sign_up("alice@example.org")
        with ThreadPoolExecutor(30) as threads:
            asked = [
                threads.submit(site.ask, "GET", f"/media/avatars/{NAME}")
                for _ in range(30)
            ]
            while len(hanging.came) < 2:
                time.sleep(0.05)
            began = time.monotonic()
            others = [
                site.ask("GET", "/api/v1/me", Authorization=f"Bearer {token}").status,
                site.ask("GET", "/api/v1/conversations").status,
                site.ask("GET", "/health").status,
            ]
            taken = time.monotonic() - began
            answers = [one.result() for one in asked]
        began = time.monotonic()
        refused = site.send(token)
        at_once = time.monotonic() - began

    assert others == [200, 401, 200]
    assert taken < 5, taken
    assert {answer.status for answer in answers} == {503}
    assert all(answer["Retry-After"] for answer in answers)
    assert refused.status == 503
    assert json.loads(refused.body)["code"] == "storage_unavailable"
    assert at_once < 5, at_once
