"""A bucket on a server that speaks S3's own protocol, one that is away or hangs."""

import socket
import threading
from contextlib import suppress

import boto3
from django.test import TransactionTestCase, override_settings
from moto.server import ThreadedMotoServer

from accounts.tests.factories import alice, auth
from config.testing.databases import free_port

BUCKET = "uploads"


def kept_in(endpoint: str, name: str = BUCKET):
    """Return settings that keep uploads in the bucket at `endpoint`."""
    bucket = {
        "BACKEND": "accounts.media.s3.PrivateStorage",
        "OPTIONS": {
            "bucket_name": name,
            "access_key": "test",
            "secret_key": "test",
            "endpoint_url": endpoint,
            "region_name": "us-east-1",
        },
    }
    static = "django.contrib.staticfiles.storage.StaticFilesStorage"
    return override_settings(
        STORAGES={"default": bucket, "staticfiles": {"BACKEND": static}}
    )


def away():
    """Return settings that keep uploads where nobody listens."""
    return kept_in(f"http://127.0.0.1:{free_port()}")


class Hanging:
    """A server that accepts everybody and never says a word."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.came = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        with suppress(OSError):
            while True:
                self.came.append(self.listener.accept()[0])

    def __exit__(self, *_):
        self.listener.close()
        for client in self.came:
            client.close()


class BucketTestCase(TransactionTestCase):
    """Keeps what a test uploads in a bucket; Alice is signed in."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        cls.addClassCleanup(server.stop)
        host, port = server.get_host_and_port()
        cls.endpoint = f"http://{host}:{port}"

    def setUp(self):
        self.client_of_s3 = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        self.addCleanup(self.client_of_s3.close)
        self.client_of_s3.create_bucket(Bucket=BUCKET)
        self.empty()
        storage = kept_in(self.endpoint)
        storage.enable()
        self.addCleanup(storage.disable)
        self.alice = alice()
        self.auth = auth(self.alice)

    def tearDown(self):
        self.empty()

    def empty(self) -> None:
        for name in self.stored():
            self.client_of_s3.delete_object(Bucket=BUCKET, Key=name)

    def stored(self) -> list[str]:
        found = self.client_of_s3.list_objects_v2(Bucket=BUCKET)
        return [entry["Key"] for entry in found.get("Contents", [])]
