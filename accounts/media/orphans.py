"""Removes avatars that no row names, as a process leaves them that ends in the middle.

A file is stored before the row names it, and removed after no row does. It goes through
the folders in the order of names, a bounded part at a time.
"""

import heapq
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.media.avatars import discard
from accounts.media.storage import reaching_storage

logger = logging.getLogger("tertulia.app")

#: Files one look goes through, and seconds between two of them.
AT_ONCE = 500
PAUSE = 600.0
#: Younger files may still get the row that names them.
AGE = timedelta(days=1)

#: The last name that was looked at in each folder, and when that was.
_reached: dict[str, str] = {}
_looked_at: dict[str, float] = {}


def sweep() -> None:
    """Look through the next part of every folder, when it is time to."""
    for model in apps.get_models():
        fields = {field.name: field for field in model._meta.concrete_fields}
        if "avatar" not in fields:
            continue
        folder = fields["avatar"].upload_to.rstrip("/")  # type: ignore[attr-defined]
        if time.monotonic() - _looked_at.get(folder, float("-inf")) >= PAUSE:
            _looked_at[folder] = time.monotonic()
            _look(model, folder)


def _look(model: Any, folder: str) -> None:
    with reaching_storage():
        found = _listed(folder, _reached.get(folder, ""))
    # From the beginning again, after the last.
    _reached[folder] = found[-1][0] if len(found) == AT_ONCE else ""
    old = {name for name, stored_at in found if stored_at < timezone.now() - AGE}
    named = model._default_manager.filter(avatar__in=old)
    for name in sorted(old.difference(named.values_list("avatar", flat=True))):
        if discard(name):
            logger.info("orphan removed", extra={"file": name})


def _listed(folder: str, after: str) -> list[tuple[str, datetime]]:
    if hasattr(default_storage, "listed"):  # a bucket
        return default_storage.listed(folder, after, AT_ONCE)  # type: ignore[no-any-return]
    directory = Path(default_storage.path(folder))
    if not directory.is_dir():
        return []
    names = (f"{folder}/{file.name}" for file in directory.iterdir() if file.is_file())
    first = heapq.nsmallest(AT_ONCE, (name for name in names if name > after))
    return [
        (
            name,
            datetime.fromtimestamp(
                Path(default_storage.path(name)).stat().st_mtime, UTC
            ),
        )
        for name in first
    ]
