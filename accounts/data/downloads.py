"""Sending an export to whose it is, in pieces, however large it is."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_cache_control

from accounts import audit
from accounts.data import exports
from accounts.media.storage import reaching_storage
from accounts.models import User

CHUNK = 256 * 1024

# Not the event loop's own, where others would wait behind a storage that hangs.
_threads = ThreadPoolExecutor(4, thread_name_prefix="downloads")


def download_of(user: User) -> HttpResponseBase:
    """Return an answer with the zip of `user`'s export.

    Raises Http404 where there is none, and StorageUnavailable.
    """
    export = exports.ready(user)
    if export is None:
        raise Http404
    with reaching_storage():
        try:
            size = export.file.size
        except FileNotFoundError:
            raise Http404 from None
    audit.record("account.export_fetched", actor=user, of=export)
    answer = StreamingHttpResponse(_pieces(export.file), content_type="application/zip")
    answer["Content-Length"] = str(size)
    name = f"tertulia-{export.created_at:%Y-%m-%d}.zip"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["X-Content-Type-Options"] = "nosniff"
    patch_cache_control(answer, no_store=True, private=True)
    return answer


async def _pieces(stored: FieldFile) -> AsyncIterator[bytes]:
    # Of what is not asynchronous the server would read all before it sends the first.
    in_thread = partial(asyncio.get_running_loop().run_in_executor, _threads)
    with await in_thread(_opened, stored) as file:
        while piece := await in_thread(file.read, CHUNK):
            yield piece


def _opened(stored: FieldFile) -> FieldFile:
    with reaching_storage():
        stored.open("rb")
    return stored
