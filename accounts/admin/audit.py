"""What was done, by whom and from where, for the operator to read and take along."""

import csv
import json
import re
from collections.abc import AsyncIterator

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from accounts.models import AuditEvent
from database.admin import Kept
from database.threads import in_database

#: Events that are read at once; an export may be of millions.
CHUNK = 1000

#: With one of these a spreadsheet begins to calculate, and formulas can send.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: The same inside of a cell, where a spreadsheet that separates by something else than
#: a comma, as many do outside of English, takes it for the beginning of the next.
INNER_FORMULA = re.compile(r"""(?<=[;,\t\r\n])([\s"]*)(?=[=+\-@＝＋－＠])""")

COLUMNS = (
    "at",
    "actor",
    "action",
    "object_type",
    "object_id",
    "ip",
    "request_id",
    "details",
)


@admin.register(AuditEvent)
class AuditEventAdmin(Kept, admin.ModelAdmin):
    list_display = ["at", "who", "action", "about", "ip"]
    list_display_links = ["at"]
    list_filter = ["at", "action"]
    search_fields = ["actor__email", "action", "object_id", "ip", "request_id"]
    search_help_text = _("E-mail of the actor, action, object, IP or request.")
    date_hierarchy = "at"
    ordering = ["-at", "id"]
    show_full_result_count = False
    actions = ["as_csv"]
    fields = [
        "at",
        "who",
        "action",
        "object_type",
        "object_id",
        "ip",
        "request_id",
        "details",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        return AuditEvent.objects.with_actors()

    @admin.display(description=_("actor"), ordering="actor__email")
    def who(self, event: AuditEvent) -> str:
        if event.actor_id is None:
            return "–"
        name = event.actor.email if event.actor else str(event.actor_id)
        theirs = reverse("admin:accounts_auditevent_changelist")
        return format_html(
            '<a href="{}?actor__id__exact={}">{}</a>', theirs, event.actor_id, name
        )

    @admin.display(description=_("object"), ordering="object_id")
    def about(self, event: AuditEvent) -> str:
        # The beginning of an id tells them apart; the whole of it fills the page.
        return f"{event.object_type} {event.object_id[:8]}"

    @admin.action(description=_("Download the chosen events as CSV"))
    def as_csv(
        self, request: HttpRequest, events: QuerySet[AuditEvent]
    ) -> StreamingHttpResponse:
        lines = _csv(
            AuditEvent.objects.with_actors().filter(pk__in=events.values("pk"))
        )
        answer = StreamingHttpResponse(lines, content_type="text/csv")
        answer["Content-Disposition"] = 'attachment; filename="audit.csv"'
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Cache-Control"] = "no-store, private"
        return answer


class _Echo:
    def write(self, line: str) -> str:
        return line


async def _csv(events: QuerySet[AuditEvent]) -> AsyncIterator[str]:
    """Yield a header and the events, the newest first, a chunk at a time."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    rest = events.order_by("-at", "-id")
    chunk: list[AuditEvent]
    while chunk := await in_database(list, rest[:CHUNK]):
        yield "".join(writer.writerow(_row(event)) for event in chunk)
        last = chunk[-1]
        rest = events.order_by("-at", "-id").filter(
            Q(at__lt=last.at) | Q(at=last.at, id__lt=last.id)
        )


def _row(event: AuditEvent) -> list[str]:
    actor = event.actor.email if event.actor else str(event.actor_id or "")
    details = json.dumps(event.details, ensure_ascii=False)
    values = {name: getattr(event, name) for name in COLUMNS}
    values |= {"at": event.at.isoformat(), "actor": actor, "details": details}
    return [harmless("" if value is None else str(value)) for value in values.values()]


def harmless(cell: str) -> str:
    """Return `cell` as a spreadsheet shows it without calculating."""
    inside = INNER_FORMULA.sub(r"\1'", cell)
    return f"'{inside}" if cell.lstrip(" ").startswith(FORMULA) else inside
