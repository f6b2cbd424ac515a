"""Uploads in a bucket, on a server that speaks S3's own protocol."""

import subprocess
import sys
import time
from secrets import token_hex
from threading import get_ident
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import TransactionTestCase
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from accounts.crowding import Bound
from accounts.errors import StorageUnavailable
from accounts.media import storage
from accounts.models import Profile, User
from accounts.tests.buckets import BUCKET, BucketTestCase, Hanging, away, kept_in
from accounts.tests.factories import alice
from accounts.tests.races import at_once
from accounts.tests.uploads import opened, picture, upload
from config.testing.server import bare_environment

KEYS = {
    "S3_BUCKET": BUCKET,
    "S3_ACCESS_KEY_ID": "test",
    "S3_SECRET_ACCESS_KEY": "test",
}


class BucketTests(BucketTestCase):
    def send(self, content: bytes | None = None):
        body = encode_multipart(BOUNDARY, {"file": upload(content or picture())})
        return self.client.generic(
            "PATCH", "/api/v1/me/avatar", body, MULTIPART_CONTENT, **self.auth
        )

    def test_it_stores_serves_replaces_and_removes(self):
        first = self.send().json()["avatar_url"]
        assert first.startswith("/media/avatars/")
        assert opened(self.client.get(first).content).size == (512, 512)

        second = self.send().json()["avatar_url"]
        assert self.stored() == [second.removeprefix("/media/")]
        assert self.client.get(first).status_code == 404
        assert self.client.get(second)["Content-Type"] == "image/webp"

        User.objects.all().delete()
        assert self.stored() == []

    def test_it_makes_nothing_public(self):
        name = self.send().json()["avatar_url"].removeprefix("/media/")

        acl = self.client_of_s3.get_object_acl(Bucket=BUCKET, Key=name)

        grantees = [grant["Grantee"]["Type"] for grant in acl["Grants"]]
        assert grantees == ["CanonicalUser"]

    def test_it_says_that_the_bucket_is_away_and_changes_nothing(self):
        url = self.send().json()["avatar_url"]
        before = self.stored()
        with away():
            with self.assertLogs("tertulia.app", "ERROR"):
                refused = self.send(picture((0, 0, 0)))
            with self.assertLogs("tertulia.app", "ERROR"):
                not_served = self.client.get(url)

        assert refused.status_code == 503
        assert refused.json()["code"] == "storage_unavailable"
        assert not_served.status_code == 503
        assert not_served["Retry-After"]
        assert Profile.objects.get().avatar.name == url.removeprefix("/media/")
        assert self.stored() == before
        assert self.client.get(url).status_code == 200

    def test_it_says_so_when_the_bucket_does_not_exist(self):
        with (
            kept_in(self.endpoint, "another"),
            self.assertLogs("tertulia.app", "ERROR"),
        ):
            refused = self.send()

        assert refused.json()["code"] == "storage_unavailable"

    def test_it_lets_a_person_go_while_the_bucket_is_away(self):
        self.send()
        with (
            away(),
            self.assertLogs("tertulia.app", "WARNING"),
        ):
            User.objects.all().delete()

        assert not User.objects.exists()

    def test_it_reads_and_writes_as_a_disk_does(self):
        name = default_storage.save("exports/a b.zip", ContentFile(b"x" * 2_000_000))

        with default_storage.open(name) as file:
            assert file.read() == b"x" * 2_000_000
        assert default_storage.exists(name)
        default_storage.delete(name)
        default_storage.delete(name)
        assert not default_storage.exists(name)
        with pytest.raises(FileNotFoundError):
            default_storage.open(name)
        with pytest.raises(FileNotFoundError):
            default_storage.size(name)

    def test_it_reads_what_it_stores_in_the_thread_that_stores_it(self):
        # Who makes an export notes that it lives while it is read.
        threads = set()

        class Watched(ContentFile):
            def read(self, *args):
                threads.add(get_ident())
                return self.file.read(*args)

        default_storage.save("exports/a.zip", Watched(b"x" * 20_000_000))

        assert threads == {get_ident()}


class HangingTests(TransactionTestCase):
    def setUp(self):
        user = alice()
        self.hanging = self.enterContext(Hanging())
        self.enterContext(kept_in(self.hanging.endpoint))
        self.addCleanup(setattr, storage._Rest, "until", 0.0)
        self.addCleanup(setattr, storage._Rest, "is_needed", False)
        self.client.force_login(user)

    def ask(self):
        client = self.client_class()
        client.cookies = self.client.cookies
        began = time.monotonic()
        answer = client.get(f"/media/avatars/{token_hex(16)}.webp")
        return answer.status_code, time.monotonic() - began

    def test_few_wait_for_it_and_then_nobody_for_a_while(self):
        with (
            patch.object(storage, "_places", Bound(3, seconds=0.2)),
            self.assertLogs("tertulia.app", "ERROR") as logs,
        ):
            answers = at_once([self.ask] * 24)
            later = self.ask()

        assert {status for status, _ in answers} == {503}
        waited = sorted(taken for _, taken in answers)
        assert waited[20] < 3, waited
        assert waited[-1] < 20, waited
        assert len(logs.output) == 3, logs.output
        assert later[0] == 503
        assert later[1] < 1
        # Each of the three tried twice.
        assert len(self.hanging.came) <= 6

    def test_who_waits_for_it_holds_no_connection(self):
        held = []
        with (
            patch("accounts.media.s3.PrivateStorage._open") as opened,
            self.assertLogs("tertulia.app", "ERROR"),
        ):

            def look(*_):
                held.append(connection.connection)
                raise TimeoutError

            opened.side_effect = look
            assert self.ask()[0] == 503

        assert held == [None]

    def test_one_looks_now_and_then_and_finds_that_it_answers_again(self):
        with patch.object(storage, "REST", 0.1):
            with pytest.raises(TimeoutError), storage.going_to_storage():
                raise TimeoutError
            with pytest.raises(StorageUnavailable), storage.going_to_storage():
                pass
            time.sleep(0.15)
            with (
                storage.going_to_storage(),
                pytest.raises(StorageUnavailable),
                storage.going_to_storage(),
            ):
                pass
            for _ in range(2):
                with storage.going_to_storage():
                    pass

    def test_what_is_not_there_does_not_make_it_rest(self):
        for error in (FileNotFoundError, PermissionError):
            with pytest.raises(error), storage.going_to_storage():
                raise error
        with storage.going_to_storage():
            pass


def started(code: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    script = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'\n"
        "import django\n"
        "from django.core.exceptions import ImproperlyConfigured\n"
        "try: django.setup()\n"
        "except ImproperlyConfigured as error: sys.exit(str(error))\n"
        "from django.core.files.storage import default_storage\n"
        "default_storage.exists\n" + code
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=settings.BASE_DIR,
        env={**bare_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.sqlite
class TestConfiguration:
    def test_it_loads_the_libraries_of_s3_only_for_s3(self, tmp_path):
        loaded = "print('boto3' in sys.modules)"

        local = started(loaded, VAR_DIR=str(tmp_path))
        bucket = started(loaded, VAR_DIR=str(tmp_path), STORAGE_BACKEND="s3", **KEYS)

        assert local.stdout == "False\n", local.stderr
        assert bucket.stdout == "True\n", bucket.stderr

    @pytest.mark.parametrize("missing", KEYS)
    def test_it_stops_with_one_line_for_what_is_missing(self, tmp_path, missing):
        given = KEYS | {missing: ""}

        done = started(VAR_DIR=str(tmp_path), STORAGE_BACKEND="s3", **given)

        assert done.returncode == 1
        assert done.stderr == f"{missing} must be set for STORAGE_BACKEND=s3.\n"

    def test_it_stops_with_one_line_for_another_backend(self, tmp_path):
        done = started(VAR_DIR=str(tmp_path), STORAGE_BACKEND="ftp")

        assert done.stderr == "STORAGE_BACKEND must be one of local, s3, not 'ftp'.\n"

    def test_it_stops_with_one_line_for_an_address_as_path(self, tmp_path):
        done = started(VAR_DIR=str(tmp_path), STATIC_URL_PREFIX="https://x.example/a")

        assert done.stderr == "STATIC_URL_PREFIX must be a path such as /media.\n"

    def test_it_serves_under_another_path(self, tmp_path):
        done = started(
            "from django.urls import resolve\n"
            f"print(resolve('/our/files/avatars/{'0' * 32}.webp').url_name)",
            VAR_DIR=str(tmp_path),
            STATIC_URL_PREFIX="our/files/",
        )

        assert done.stdout == "media\n", done.stderr
