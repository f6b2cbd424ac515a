"""API sessions, and who people are to other issuers, for the operator."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.authentication.bearer import signed_in
from accounts.authentication.sessions import end_session
from accounts.models import ExternalIdentity, Session
from database.admin import Kept


@admin.register(Session)
class SessionAdmin(Kept, admin.ModelAdmin):
    list_display = ["user", "ip", "user_agent", "last_seen_at", "expires_at", "live"]
    list_filter = ["last_seen_at", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    search_fields = ["user__email", "ip"]
    date_hierarchy = "created_at"
    actions = ["revoke"]
    fields = [
        "user",
        "ip",
        "user_agent",
        "created_at",
        "last_seen_at",
        "expires_at",
        "revoked_at",
    ]

    @admin.display(description=_("live"), boolean=True)
    def live(self, session: Session) -> bool:
        return session.is_live

    @admin.action(description=_("End the chosen sessions"))
    def revoke(self, request: HttpRequest, sessions: QuerySet[Session]) -> None:
        actor, count = signed_in(request), 0
        for session in sessions:
            if ended := end_session(session.user, session.credential):
                how = {"session": str(session.pk), "via": "admin site"}
                audit.record("session.ended", actor=actor, of=session.user, **how)
            count += ended
        messages.success(request, sessions_ended(count))


@admin.register(ExternalIdentity)
class ExternalIdentityAdmin(admin.ModelAdmin):
    """Who people are to JWT_ISSUERS; entered here where e-mails are not matched."""

    list_display = ["user", "issuer", "subject", "created_at"]
    list_filter = ["issuer"]
    list_select_related = ["user"]
    search_fields = ["user__email", "subject"]
    autocomplete_fields = ["user"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: ExternalIdentity, form: Any, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        self._record(request, "identity.linked", obj)

    def delete_model(self, request: HttpRequest, obj: ExternalIdentity) -> None:
        self._record(request, "identity.unlinked", obj)
        super().delete_model(request, obj)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[ExternalIdentity]
    ) -> None:
        for identity in queryset.select_related("user"):
            self.delete_model(request, identity)

    def _record(
        self, request: HttpRequest, action: str, identity: ExternalIdentity
    ) -> None:
        actor = signed_in(request)
        audit.record(action, actor=actor, of=identity.user, issuer=identity.issuer)


def sessions_ended(count: int) -> str:
    said = ngettext("%(count)d session ended.", "%(count)d sessions ended.", count)
    return said % {"count": count}
