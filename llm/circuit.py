"""A circuit breaker: leave a model alone for a while when it keeps failing.

It counts outcomes; what an outcome is, its caller knows.
"""

from collections.abc import Callable
from time import monotonic

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 30.0


class Circuit:
    """Closed while things go well; open after failures in a row; then one probe."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._retry_at = 0.0
        self._is_probing = False

    def admits(self) -> bool:
        """Say whether a call may be made now; the caller then reports its outcome."""
        if not self.is_open:
            return True
        if self._is_probing or self._clock() < self._retry_at:
            return False
        self._is_probing = True
        return True

    @property
    def is_open(self) -> bool:
        """Whether the model is left alone, but for a probe."""
        return self._failures >= FAILURES_TO_OPEN

    def succeeded(self) -> None:
        self._failures = 0
        self._is_probing = False

    def failed(self) -> None:
        self._failures += 1
        self._is_probing = False
        self._retry_at = self._clock() + OPEN_SECONDS

    def abandoned(self) -> None:
        """Note a call that was given up before its outcome was known."""
        self._is_probing = False
