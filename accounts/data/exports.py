"""Exports: asked for by a person, made in the background, kept for a week.

Several processes may look for work at the same time: a row belongs to whom its last
conditional update names. What goes into the file is the business of `archives.py`.
A file whose time is over goes before its row: while the storage is away the row stays,
unseen, so that the file is found again.
"""

import logging
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import IO, Any

from django.core.files import File
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.data import archives
from accounts.media.avatars import discard
from accounts.models import Export, User
from accounts.throttling import check
from database.workers import is_dead, this_worker

logger = logging.getLogger("tertulia.app")

#: How many somebody may ask for.
RATE = "3/d"
#: How long the file can be fetched.
KEPT_FOR = timedelta(days=7)
#: Seconds between two signs of life.
HEARTBEAT_SECONDS = 1.0
#: An export whose process has not been heard of for so long is begun anew,
STALE_AFTER = timedelta(minutes=1)
#: unless it is so old: then it may be what ends one process after the other.
GIVEN_UP_AFTER = timedelta(hours=1)

_OPEN = (Export.Status.WAITING, Export.Status.RUNNING)


class _Lost(Exception):
    """The export is not this process's to make any more."""


def start(user: User) -> Export:
    """Ask for an export in the place of the last one; one under way is that one.

    Raises RateLimited after RATE; in the place of one that failed another is free.
    """
    if found := _open_of(user):
        return found
    last = newest(user)
    is_counted = last is None or last.status != Export.Status.FAILED
    if is_counted:
        check("export", RATE, str(user.pk), increment=False)
    try:
        with transaction.atomic():
            export = Export.objects.create(user=user)
            user.exports.exclude(status__in=_OPEN).update(finished_at=_too_old())
    except IntegrityError:  # another request was faster
        if found := _open_of(user):
            return found
        raise
    if is_counted:
        check("export", RATE, str(user.pk))
    audit.record("account.export_asked", actor=user, of=export)
    return export


def newest(user: User) -> Export | None:
    """Return the last export of `user`, unless its time is over."""
    over = Q(finished_at__lte=_too_old())
    return user.exports.exclude(over).order_by("-created_at").first()


def ready(user: User) -> Export | None:
    """Return the export of `user` that can be fetched now."""
    return user.exports.filter(
        status=Export.Status.READY, finished_at__gt=_too_old()
    ).first()


def waiting() -> QuerySet[Export]:
    """Return the exports that nobody has begun."""
    return Export.objects.filter(status=Export.Status.WAITING)


def run_waiting() -> int:
    """Make every export that waits, one after the other; return how many were taken."""
    taken = 0
    while export := _claim():
        taken += 1
        try:
            _make(export)
        except _Lost:
            pass
        except Exception:
            logger.exception("export failed", extra={"export": str(export.pk)})
            _mine(export).update(
                status=Export.Status.FAILED, finished_at=timezone.now()
            )
            _remove(export)
    return taken


def recover() -> None:
    """Let exports whose process is gone be begun anew, or give them up."""
    now = timezone.now()
    for export in Export.objects.filter(status=Export.Status.RUNNING):
        is_silent = export.heartbeat_at < now - STALE_AFTER
        if not is_silent and not is_dead(export.worker):
            continue
        is_given_up = export.created_at < now - GIVEN_UP_AFTER
        changes = (
            {"status": Export.Status.FAILED, "finished_at": now}
            if is_given_up
            else {"status": Export.Status.WAITING, "progress": 0}
        )
        if _mine(export).filter(heartbeat_at=export.heartbeat_at).update(**changes):
            _remove(export)
            logger.warning(
                "export interrupted",
                extra={"export": str(export.pk), "worker": export.worker},
            )


def expire() -> None:
    """Delete exports, with their files, that were kept for long enough."""
    ended = Export.objects.exclude(status__in=_OPEN)
    for export in ended.filter(finished_at__lte=_too_old()):
        if _remove(export):
            export.delete()


def _too_old() -> datetime:
    return timezone.now() - KEPT_FOR


def _open_of(user: User) -> Export | None:
    return user.exports.filter(status__in=_OPEN).first()


def _claim() -> Export | None:
    for export in waiting().order_by("created_at").select_related("user__profile"):
        export.status = Export.Status.RUNNING
        export.worker = this_worker()
        # Known before it exists, so that whoever finds the row finds the file, too.
        export.file.name = f"exports/{uuid.uuid4()}.zip"
        is_mine = (
            waiting()
            .filter(pk=export.pk)
            .update(
                status=export.status,
                worker=export.worker,
                file=export.file.name,
                heartbeat_at=timezone.now(),
            )
        )
        if is_mine:
            return export
    return None


def _make(export: Export) -> None:
    last = time.monotonic()

    def on_progress(percent: int) -> None:
        nonlocal last
        if time.monotonic() - last >= HEARTBEAT_SECONDS:
            last = time.monotonic()
            _note(export, progress=percent)

    try:
        # It has no name, so nothing of it is left when this process is killed.
        with tempfile.TemporaryFile() as file:
            archives.write(export.user, file, on_progress)
            _note(export, progress=99)
            file.seek(0)
            # A slow storage must not look like a process that is gone.
            read = _Read(file, lambda: on_progress(99))
            export.file.storage.save(export.file.name, read)
        _note(
            export,
            status=Export.Status.READY,
            progress=100,
            finished_at=timezone.now(),
        )
    except _Lost:
        _remove(export)
        raise


class _Read(File):
    """A file that tells whenever some of it is read."""

    def __init__(self, file: IO[bytes], on_read: Callable[[], None]) -> None:
        super().__init__(file)
        self._file, self._on_read = file, on_read

    def read(self, *args: Any) -> bytes:
        self._on_read()
        return self._file.read(*args)


def _note(export: Export, **changes: object) -> None:
    if not _mine(export).update(heartbeat_at=timezone.now(), **changes):
        raise _Lost


def _mine(export: Export) -> QuerySet[Export]:
    return Export.objects.filter(
        pk=export.pk,
        status=Export.Status.RUNNING,
        worker=export.worker,
        file=export.file.name,
    )


def _remove(export: Export) -> bool:
    name = export.file.name
    return discard(name) if name else True
