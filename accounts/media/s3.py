"""Files in an S3 bucket that only this server reads and writes.

Imported only where `STORAGE_BACKEND=s3`: its libraries take 30 MiB. Failures are
OSErrors as those of a disk are, so nobody else has to know which storage it is; what
does not answer in time is a TimeoutError.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    ReadTimeoutError,
)
from django.conf import settings
from django.core.files.base import File
from storages.backends.s3 import S3Storage


@contextmanager
def as_os_errors() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, Boto3Error, ClientError) as error:
        cause = getattr(error, "last_exception", error)
        is_late = isinstance(cause, ConnectTimeoutError | ReadTimeoutError)
        kind = TimeoutError if is_late else OSError
        raise kind(f"S3: {error}") from error


class PrivateStorage(S3Storage):
    """django-storages' own, with our addresses, our patience and our errors."""

    def get_default_settings(self) -> dict[str, Any]:
        return super().get_default_settings() | {
            # Somebody waits for the answer; by default it tries for minutes. These are
            # ten seconds in all, of a bucket that hangs.
            "client_config": Config(
                connect_timeout=2,
                read_timeout=5,
                retries={"total_max_attempts": 2},
                # As AWS, MinIO and their like all understand it.
                s3={"addressing_style": "path"},
                signature_version="s3v4",
            ),
            # Who stores something large notes meanwhile that it lives, in its own
            # thread, where its connection to the database is.
            "transfer_config": TransferConfig(
                use_threads=False, num_download_attempts=1
            ),
            # Beyond this a file that is read goes to the disk.
            "max_memory_size": 1_000_000,
        }

    def url(self, name: str, *_: Any, **__: Any) -> str:
        # Nobody but us reads the bucket.
        return f"{settings.MEDIA_URL}{quote(name)}"

    def size(self, name: str) -> int:
        with as_os_errors():
            return super().size(name)

    def exists(self, name: str) -> bool:
        with as_os_errors():
            return super().exists(name)

    def delete(self, name: str) -> None:
        with as_os_errors():
            super().delete(name)

    def listed(self, folder: str, after: str, count: int) -> list[tuple[str, datetime]]:
        """Return the next names after `after` in `folder`, and when they were stored.

        At most `count`, in the order of their names.
        """
        with as_os_errors():
            found = self.bucket.objects.filter(Prefix=f"{folder}/", Marker=after)
            return [(file.key, file.last_modified) for file in found.limit(count)]

    def _open(self, name: str, mode: str = "rb") -> File:
        with as_os_errors():
            file = super()._open(name, mode)
            if "r" in mode:
                # Fetched now, while a failure can be told apart from the reader's own.
                file.open()
            return file

    def _save(self, name: str, content: File) -> str:
        with as_os_errors():
            return super()._save(name, content)
