"""Units a day: reserved before a reply, settled after it to what was really used.

Plain statements for the caller's own transaction. A person is an id, a limit and a
time zone here; their day begins at their own midnight.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from database import metrics
from llm.models import DailyUsage, UsageRecord
from llm.types import Usage

_tokens = metrics.counter(
    "tertulia_tokens",
    "Tokens that were charged for, by model and kind: prompt or completion.",
    *("model", "kind"),
)
_units = metrics.counter(
    "tertulia_units", "Units that were charged for, by model.", "model"
)


class QuotaExceeded(Exception):
    """Nothing is left of today's units."""

    code = "quota_exceeded"

    def __init__(self, reset_at: datetime) -> None:
        self.reset_at = reset_at
        super().__init__(self.code)

    @property
    def detail(self) -> str:
        return str(_("You have used today's units. More are there after midnight."))


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units held for one reply, on the person's own day."""

    date: date
    units: int


class UsageToday(TypedDict):
    """What `GET /me/usage` tells: `remaining` is neither used nor reserved."""

    used: int
    limit: int
    remaining: int
    reset_at: datetime


def reserve(user_id: UUID, units: int, limit: int, time_zone: str) -> Reservation:
    """Hold `units`, or what is left of `limit`; raise QuotaExceeded if nothing is.

    Called in a transaction. A reply may use more than was held for it, so a person
    can pass the limit by one reply, never by more.
    """
    today = local_date(time_zone)
    if _execute(_RESERVE, units, *_row(user_id, today), limit - units):
        return Reservation(today, units)
    rows = DailyUsage.objects.filter(user_id=user_id, date=today)
    # The first reply of the day, or one of the last.
    with transaction.atomic():
        DailyUsage.objects.bulk_create(
            [DailyUsage(user_id=user_id, date=today)], ignore_conflicts=True
        )
        row = rows.select_for_update().get()
        left = limit - row.used - row.reserved
        if left <= 0:
            raise QuotaExceeded(reset_at(time_zone))
        granted = min(units, left)
        rows.update(reserved=F("reserved") + granted)
    return Reservation(today, granted)


def settle(user_id: UUID, reserved_on: date, reserved: int, used: int) -> None:
    """Give back what was held for a reply, and count what it used."""
    _execute(_SETTLE, used, reserved, reserved, *_row(user_id, reserved_on))


def record(user_id: UUID, charged_on: date, model: str, usage: Usage) -> int:
    """Write what one reply cost, and return its units: one token is one unit."""
    units = usage.prompt + usage.completion
    UsageRecord.objects.create(
        user_id=user_id,
        date=charged_on,
        model=model,
        prompt_tokens=usage.prompt,
        completion_tokens=usage.completion,
        is_exact=usage.exact,
        units=units,
    )
    transaction.on_commit(partial(_note, model, usage, units))
    return units


@metrics.harmless
def _note(model: str, usage: Usage, units: int) -> None:
    _tokens.labels(model, "prompt").inc(usage.prompt)
    _tokens.labels(model, "completion").inc(usage.completion)
    _units.labels(model).inc(units)


def usage_today(user_id: UUID, limit: int, time_zone: str) -> UsageToday:
    """Return what a person has used of today's units, and what is left."""
    today = DailyUsage.objects.filter(user_id=user_id, date=local_date(time_zone))
    used, reserved = today.values_list("used", "reserved").first() or (0, 0)
    return {
        "used": used,
        "limit": limit,
        "remaining": max(0, limit - used - reserved),
        "reset_at": reset_at(time_zone),
    }


def local_date(time_zone: str) -> date:
    """Return today's date where the person is."""
    return timezone.now().astimezone(ZoneInfo(time_zone)).date()


def reset_at(time_zone: str) -> datetime:
    """Return the person's next midnight, in UTC.

    Where the clock skips midnight, the day begins when it jumps; UTC can say so.
    """
    tomorrow = local_date(time_zone) + timedelta(days=1)
    return datetime.combine(tomorrow, time.min, ZoneInfo(time_zone)).astimezone(UTC)


# By hand, for they are part of every turn, and Django takes three times as long to
# put such a statement together as the database does to carry it out.

_RESERVE = """
UPDATE llm_dailyusage SET reserved = reserved + %s
WHERE user_id = %s AND date = %s AND used + reserved <= %s
"""

_SETTLE = """
UPDATE llm_dailyusage SET used = used + %s,
    reserved = CASE WHEN reserved > %s THEN reserved - %s ELSE 0 END
WHERE user_id = %s AND date = %s
"""


def _execute(statement: str, *values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def _row(user_id: UUID, day: date) -> tuple[Any, Any]:
    """Return what names a day's row, as the database in use writes it."""
    user = DailyUsage._meta.get_field("user").target_field
    key = user.get_db_prep_value(user_id, connection)
    return key, connection.ops.adapt_datefield_value(day)
