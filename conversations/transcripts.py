"""A reply's text as the sequence of its events.

Event 1 is the start, then come deltas, then the end; a continued reply goes on with
another start. Starts and ends have no text, so the number of an event and the place
in the text follow from the lengths alone: that is all the database has to keep for a
follower to resume anywhere. Knows nothing of databases, sockets or time.
"""

from collections.abc import Iterable


class Transcript:
    """The texts of all events so far; `seq` is the number of the last one."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Iterable[str] = ()) -> None:
        self._parts = list(parts)

    @classmethod
    def restore(cls, text: str, lengths: str) -> "Transcript":
        """Rebuild what `text` and `lengths` describe.

        >>> Transcript.restore("Hello", "0,2,3,0").since(2)
        'llo'
        """
        parts, start = [], 0
        for length in map(int, filter(None, lengths.split(","))):
            parts.append(text[start : start + length])
            start += length
        return cls(parts)

    @property
    def seq(self) -> int:
        return len(self._parts)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def lengths(self) -> str:
        return ",".join(map(str, map(len, self._parts)))

    def append(self, text: str = "") -> int:
        """Add an event and return its number."""
        self._parts.append(text)
        return len(self._parts)

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
