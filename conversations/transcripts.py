"""A reply's text as the sequence of its events.

Event 1 is the start, then come deltas, then the end; a continued reply goes on with
another start. Starts and ends have no text, so the number of an event and the place
in the text follow from the lengths alone: that is all the database has to keep for a
follower to resume anywhere. Knows nothing of databases, sockets or time.
"""

from collections.abc import Iterable

#: What stands in the lengths for events that a crash took: followers may have seen
#: them, but nobody knows how many there were. Their numbers are not used again.
LOST = "lost"
LOST_EVENTS = 10_000


class Transcript:
    """The texts of all events so far; `seq` is the number of the last one."""

    __slots__ = ("_lengths", "_lost", "_parts")

    def __init__(self, parts: Iterable[str] = ()) -> None:
        self._parts: list[str] = []
        self._lengths: list[str] = []
        self._lost: list[range] = []
        for part in parts:
            self.append(part)

    @classmethod
    def restore(cls, text: str, lengths: str) -> "Transcript":
        """Rebuild what `text` and `lengths` describe.

        >>> Transcript.restore("Hello", "0,2,3,0").since(2)
        'llo'
        """
        transcript, start = cls(), 0
        for length in filter(None, lengths.split(",")):
            if length == LOST:
                transcript.lose()
                continue
            transcript.append(text[start : start + int(length)])
            start += int(length)
        return transcript

    @property
    def seq(self) -> int:
        return len(self._parts)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def lengths(self) -> str:
        return ",".join(self._lengths)

    def append(self, text: str = "") -> int:
        """Add an event and return its number."""
        self._parts.append(text)
        self._lengths.append(str(len(text)))
        return len(self._parts)

    def lose(self) -> None:
        """Leave out the numbers of events that were sent and not saved."""
        first = self.seq + 1
        self._lost.append(range(first, first + LOST_EVENTS))
        self._parts.extend([""] * LOST_EVENTS)
        self._lengths.append(LOST)

    def is_lost(self, seq: int) -> bool:
        """Whether a crash took event `seq`: who saw it saw more than is left."""
        return any(seq in numbers for numbers in self._lost)

    def since(self, after: int) -> str:
        """Return the text of all events after number `after`."""
        return "".join(self._parts[max(after, 0) :])

    def last_run(self) -> str:
        """Return the text since the last start or end.

        >>> Transcript(["", "one ", "", "", "two ", "three"]).last_run()
        'two three'
        """
        run: list[str] = []
        for part in reversed(self._parts):
            if not part:
                break
            run.append(part)
        return "".join(reversed(run))
