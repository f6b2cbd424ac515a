"""The files of avatars: one for a row, which always names one that is there.

It serves every model with an `avatar`. What a picture has to be is `pictures.py`'s;
who may change it, the caller's.
"""

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.shortcuts import get_object_or_404

from accounts.errors import PictureUnderWay, StorageUnavailable
from accounts.media.storage import going_to_storage, reaching_storage
from database.threads import release

logger = logging.getLogger("tertulia.app")

#: Whose avatars this process is making at present, and the news that one is made.
_under_way: set[tuple[type[models.Model], Any]] = set()
_is_made = threading.Condition()
#: Seconds that another one of the same row waits for that.
PATIENCE = 5


def put(owner: models.Model, file: IO[bytes]) -> None:
    """Make a picture out of `file` the avatar of the row `owner`.

    Raises AvatarTooLarge, AvatarUnreadable, StorageUnavailable, Overloaded,
    PictureUnderWay while another one of this row is being made, and Http404 when the
    row has been deleted; then the old avatar stays as it was.
    """
    with _alone(owner):
        content = picture(file)
        with reaching_storage():
            # Before the transaction: a slow storage must not hold the row.
            name = default_storage.save(f"{_folder(owner)}{content.name}", content)
        try:
            _point(owner, name)
        except BaseException:
            discard(name)
            raise


def remove(owner: models.Model) -> None:
    """Leave the row `owner` without an avatar; nothing happens if it has none."""
    _point(owner, "")


def picture(file: IO[bytes]) -> ContentFile:
    """Return the picture of an upload, under a name nobody can guess."""
    # Pillow takes 5 MiB, and many processes never see a picture.
    from accounts.media import pictures

    return ContentFile(pictures.face(file), f"{secrets.token_hex(16)}.webp")


@contextmanager
def _alone(owner: models.Model) -> Iterator[None]:
    """Let one at a time make a picture for `owner`, so that nobody fills the queue."""
    key = (type(owner), owner.pk)
    release()
    with _is_made:
        if not _is_made.wait_for(lambda: key not in _under_way, PATIENCE):
            raise PictureUnderWay(PATIENCE)
        _under_way.add(key)
    try:
        yield
    finally:
        with _is_made:
            _under_way.discard(key)
            _is_made.notify_all()


@contextmanager
def replacing(owner: models.Model) -> Iterator[None]:
    """Remove the file of the row `owner` if it has another one afterwards.

    For forms that store row and file themselves, in a transaction.
    """
    before = _locked(owner).values_list("avatar", flat=True).first() or ""
    with reaching_storage():
        yield
    if owner.avatar.name != before:  # type: ignore[attr-defined]
        discard_on_commit(before)


def discard_on_commit(name: str) -> None:
    """Remove a file that no row points to once this transaction is committed."""
    if name:
        transaction.on_commit(lambda: discard(name))


def discard_with_row(instance: Any, **_signal: Any) -> None:
    """Remove the avatar of a row that is being deleted, a moment-old one included."""
    discard_on_commit(_locked(instance).values_list("avatar", flat=True).first() or "")


def _point(owner: Any, name: str) -> None:
    with transaction.atomic():
        row: Any = get_object_or_404(_locked(owner))
        discard_on_commit(row.avatar.name)
        row.avatar = name
        row.save(update_fields=["avatar"])
    owner.avatar = name


def _locked(owner: Any) -> "models.QuerySet[Any]":
    rows = type(owner)._default_manager
    return rows.select_for_update().filter(pk=owner.pk)


def _folder(owner: Any) -> str:
    return type(owner)._meta.get_field("avatar").upload_to


def discard(name: str) -> bool:
    """Remove a file if the storage can be reached; whether it could."""
    try:
        with going_to_storage():
            default_storage.delete(name)
    except (OSError, StorageUnavailable) as error:
        # It is in nobody's way, and what it was replaced for has succeeded.
        logger.warning("file left behind", extra={"file": name, "cause": error})
        return False
    return True
