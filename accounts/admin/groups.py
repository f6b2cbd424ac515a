"""Teams and plans for the operator; what is done with them is recorded."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm, model_to_dict
from django.http import HttpRequest

from accounts import administration, audit
from accounts.authentication.bearer import signed_in
from accounts.models import Plan, Team, User


class GroupAdmin(admin.ModelAdmin):
    """Records each change, and who loses theirs when one is deleted."""

    #: The field of a user that leads here; the events are named after it, too.
    field = ""
    search_fields = ["name"]

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            self._record(request, "made", obj, **self._facts(obj))
            return
        for name in form.changed_data:
            values = {"old": form.initial[name], "new": getattr(obj, name)}
            self._record(request, "changed", obj, field=name, **values)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        actor = signed_in(request)
        with transaction.atomic():
            for user in User.objects.filter(**{self.field: obj}):
                administration.change(
                    user, actor=actor, via="admin site", **{self.field: None}
                )
            self._record(request, "deleted", obj, **self._facts(obj))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for group in queryset:
            self.delete_model(request, group)

    def _facts(self, obj: Any) -> dict[str, Any]:
        # A line of a log has a name of its own.
        facts = model_to_dict(obj)
        return {self.field: facts.pop("name"), **facts}

    def _record(
        self, request: HttpRequest, action: str, obj: Any, **details: Any
    ) -> None:
        audit.record(
            f"{self.field}.{action}",
            actor=signed_in(request),
            of=obj,
            **details,
            via="admin site",
        )


@admin.register(Team)
class TeamAdmin(GroupAdmin):
    field = "team"
    list_display = ["name"]


@admin.register(Plan)
class PlanAdmin(GroupAdmin):
    field = "plan"
    list_display = ["name", "daily_units"]
