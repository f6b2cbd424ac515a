"""The way of a request to the storage of files, which may be slow, hang or be away.

Nobody takes a connection to the database along, few go at once, and while the storage
hangs nobody goes but one now and then, to look. It knows no file.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from accounts.crowding import Bound
from accounts.errors import Overloaded, StorageUnavailable

logger = logging.getLogger("tertulia.app")

#: Seconds for which a storage that did not answer in time is left alone: what hangs
#: costs a few requests their time-out, not every one. Then one of them tries.
REST = 10

_places = Bound(12, seconds=1)
_lock = threading.Lock()


class _Rest:
    until = 0.0
    is_needed = False


@contextmanager
def reaching_storage() -> Iterator[None]:
    """Turn what storages raise into StorageUnavailable, also when too many wait."""
    try:
        with going_to_storage():
            yield
    except OSError as error:
        logger.error("storage unavailable", extra={"cause": error})
        raise StorageUnavailable from error


@contextmanager
def going_to_storage() -> Iterator[None]:
    """Do the same, but let through what the storage raises itself."""
    _refuse_at_rest()
    with ExitStack() as stack:
        try:
            stack.enter_context(_places.entered())
        except Overloaded:
            raise StorageUnavailable from None
        _refuse_at_rest(is_going=True)
        hangs = False
        try:
            yield
        except TimeoutError:
            hangs = True
            raise
        finally:
            _Rest.is_needed = hangs
            _Rest.until = time.monotonic() + REST if hangs else 0.0


def _refuse_at_rest(*, is_going: bool = False) -> None:
    with _lock:
        now = time.monotonic()
        if now < _Rest.until:
            raise StorageUnavailable
        if _Rest.is_needed and is_going:
            # The others wait for what this one finds.
            _Rest.until = now + REST
