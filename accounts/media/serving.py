"""Serves pictures that people uploaded, from whichever storage keeps them.

Only avatars, under the names `avatars.py` gives them: nothing else in the storage has
an address.
"""

import os
import re

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.urls import re_path
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from accounts.media.storage import reaching_storage

YEAR = 365 * 24 * 3600


@require_safe
def avatar(request: HttpRequest, folder: str, name: str) -> HttpResponse:
    """Answer a picture to whoever knows its name, which cannot be guessed."""
    content = _read(f"{folder}/{name}")

    response = HttpResponse(content, content_type="image/webp")
    response["Content-Disposition"] = 'inline; filename="avatar.webp"'
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    # A new picture has a new name. A person's is not for caches on the way.
    audience = "public" if folder == "characters" else "private"
    response["Cache-Control"] = f"{audience}, max-age={YEAR}, immutable"
    # It is small, and comes whole.
    response["Accept-Ranges"] = "none"
    response["ETag"] = etag = f'"{name.removesuffix(".webp")}"'
    answer = get_conditional_response(request, etag=etag, response=response)
    assert isinstance(answer, HttpResponse | HttpResponseNotModified)
    return answer


def _read(name: str) -> bytes:
    with reaching_storage():
        try:
            if _leads_elsewhere(name):
                raise Http404
            with default_storage.open(name) as file:
                return file.read()
        except (FileNotFoundError, IsADirectoryError):
            raise Http404 from None


def _leads_elsewhere(name: str) -> bool:
    """Whether a link in the directory of uploads points out of its place."""
    try:
        path = default_storage.path(name)
    except NotImplementedError:
        # Buckets have no links.
        return False
    return os.path.realpath(path) != os.path.join(
        os.path.realpath(default_storage.path("")), name
    )


urlpatterns = [
    re_path(
        rf"^{re.escape(settings.MEDIA_URL.lstrip('/'))}"
        r"(?P<folder>avatars|characters)/(?P<name>[0-9a-f]{32}\.webp)\Z",
        avatar,
        name="media",
    ),
]
