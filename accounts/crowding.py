"""How many requests at once do what is costly, and how long others wait for it.

Every process counts for itself. Who waits keeps a thread, and no connection to the
database: everybody else goes on meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from accounts.errors import Overloaded
from database.threads import release


class Bound:
    """Lets `at_once` in at a time; who has waited for `seconds` is refused."""

    def __init__(self, at_once: int, seconds: float) -> None:
        self.at_once = at_once
        self.seconds = seconds
        self._free = BoundedSemaphore(at_once)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be one of them for a while; raises Overloaded.

        Inside a transaction the connection stays where it is, so nothing may be done
        inside that waits for a row.
        """
        release()
        if not self._free.acquire(timeout=self.seconds):
            raise Overloaded
        try:
            yield
        finally:
            self._free.release()
