"""API sessions, and who people are to other issuers, for the operator."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
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
    """Who people are to JWT_ISSUERS; entered here where e-mails are not matched.

    One that is removed is refused from then on: its next token would link it again.
    Removed once more it is forgotten.
    """

    list_display = ["user", "issuer", "subject", "created_at", "is_refused"]
    list_filter = ["issuer", "is_refused"]
    actions = ["refuse", "admit"]
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

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        # It says that they are gone.
        actions.pop("delete_selected", None)
        return actions

    def delete_model(self, request: HttpRequest, obj: ExternalIdentity) -> None:
        if obj.is_refused:
            super().delete_model(request, obj)
            return
        obj.is_refused = True
        obj.save(update_fields=["is_refused"])
        self._record(request, "identity.unlinked", obj)

    def response_delete(
        self, request: HttpRequest, obj_display: str, obj_id: int
    ) -> HttpResponse:
        kept = ExternalIdentity.objects.filter(pk=obj_id).exists()
        messages.success(
            request,
            _("It is refused from now on; delete it once more to forget it.")
            if kept
            else _(
                "It is forgotten, and may be linked again by the rule about e-mails."
            ),
        )
        return redirect("admin:accounts_externalidentity_changelist")

    @admin.action(permissions=["delete"], description=_("Refuse the chosen identities"))
    def refuse(
        self, request: HttpRequest, identities: QuerySet[ExternalIdentity]
    ) -> None:
        for identity in identities.filter(is_refused=False):
            self.delete_model(request, identity)

    @admin.action(
        permissions=["add"], description=_("Let the chosen identities in again")
    )
    def admit(
        self, request: HttpRequest, identities: QuerySet[ExternalIdentity]
    ) -> None:
        for identity in identities.filter(is_refused=True):
            identity.is_refused = False
            identity.save(update_fields=["is_refused"])
            self._record(request, "identity.linked", identity)

    def _record(
        self, request: HttpRequest, action: str, identity: ExternalIdentity
    ) -> None:
        actor = signed_in(request)
        audit.record(action, actor=actor, of=identity.user, issuer=identity.issuer)


def sessions_ended(count: int) -> str:
    said = ngettext("%(count)d session ended.", "%(count)d sessions ended.", count)
    return said % {"count": count}
