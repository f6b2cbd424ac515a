"""The zip with everything that is held about somebody: what goes in, and how.

Each application says in `register` what it holds; this module knows no table. Nothing
is kept in memory but what is being written, whatever the size of an account.
"""

import json
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, Q, QuerySet
from django.db.models.fields.files import FieldFile
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.models import User

M = TypeVar("M", bound=Model)
Row = dict[str, Any]

#: Rows that are read at once; a text may have some hundred kilobytes.
ROWS = 100


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the archive; `parts` are read while it is written."""

    name: str
    parts: Iterable[bytes]


Documents = Callable[[User], Iterator[Document]]
Count = Callable[[User], int]


@dataclass(frozen=True, slots=True)
class _Holding:
    description: str | Promise
    documents: Documents
    count: Count


_holdings: dict[str, _Holding] = {}


def register(
    name: str, documents: Documents, *, description: str | Promise, count: Count
) -> None:
    """Say that an application holds something about people.

    `name` is a file or a folder with a slash at its end, `description` what README.txt
    says of it, `documents(user)` yields the files, and `count(user)` is about how many
    rows these have, from which follows how much of the work is done.
    """
    _holdings[name] = _Holding(description, documents, count)


def write(user: User, file: IO[bytes], on_progress: Callable[[int], None]) -> None:
    """Write the archive of `user`; `on_progress` is told the percent, often."""
    holdings = list(_holdings.values())
    total = sum(holding.count(user) for holding in holdings) or 1
    done, resumed_at = 0, time.monotonic()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _readme(user))
        for document in (d for holding in holdings for d in holding.documents(user)):
            with archive.open(document.name, "w", force_zip64=True) as entry:
                for part in document.parts:
                    entry.write(part)
                    done += 1
                    if done % ROWS == 0:
                        on_progress(min(99, 100 * done // total))
                        # Encoding holds the interpreter: others get as long again.
                        time.sleep(time.monotonic() - resumed_at)
                        resumed_at = time.monotonic()


def listing(name: str, rows: Iterable[Row]) -> Document:
    """Return a file with a JSON array, one object a line."""
    return Document(name, _lines(rows))


def record(name: str, row: Row) -> Document:
    """Return a file with one JSON object."""
    return Document(name, [_encoded(row, indent=2) + b"\n"])


def copy(name: str, file: FieldFile) -> Document:
    """Return a stored file as it is; without content where it is lost."""
    return Document(name, _chunks(file))


def facts(row: Model, *, without: Iterable[str] = ()) -> Row:
    """Return every column of a row but those named, by the names of fields."""
    return {
        field.name: str(value) if isinstance(value, FieldFile) else value
        for field in row._meta.concrete_fields
        if field.name not in without
        for value in [getattr(row, field.attname)]
    }


def in_order(rows: QuerySet[M], by: str) -> Iterator[M]:
    """Yield rows by a column that is never null, without a cursor that stays open.

    SQLite refuses to write while one reads what is older than somebody else's write.
    """
    rows = rows.order_by(by, "pk")
    left = rows
    while found := list(left[:ROWS]):
        yield from found
        last: datetime | int = getattr(found[-1], by)
        later = Q(**{f"{by}__gt": last}) | Q(**{by: last, "pk__gt": found[-1].pk})
        left = rows.filter(later, **{f"{by}__gte": last})


def _readme(user: User) -> str:
    with translation.override(user.profile.language):
        lines = [
            _("Everything this Tertulia holds about %(email)s.")
            % {"email": user.email},
            _("All but the picture is JSON; times are in UTC."),
            "",
            *(
                f"{name}\n    {holding.description}"
                for name, holding in _holdings.items()
            ),
        ]
    return "\n".join(lines) + "\n"


def _lines(rows: Iterable[Row]) -> Iterator[bytes]:
    before = b"[\n"
    for row in rows:
        yield before + _encoded(row)
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _encoded(row: Row, indent: int | None = None) -> bytes:
    text = json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False, indent=indent)
    # Half a character, which SQLite keeps, has an escape in JSON, but no bytes.
    return text.encode("utf-8", "backslashreplace")


def _chunks(file: FieldFile) -> Iterator[bytes]:
    try:
        with file.open("rb"):
            yield from file.chunks()
    except FileNotFoundError:
        return
