"""What the operator sees of models and of their use."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from database.admin import Kept
from llm import catalog
from llm.models import DailyUsage, LanguageModel, UsageRecord
from llm.signals import model_administered


@admin.register(LanguageModel)
class LanguageModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = [
        "label",
        "provider",
        "name",
        "context_tokens",
        "max_output_tokens",
        "temperature",
        "is_active",
        "is_default",
    ]
    list_filter = ["provider", "is_active"]
    search_fields = ["label", "name"]
    # There is one default at most: the action moves it, a checkbox could only fail.
    readonly_fields = ["is_default"]
    actions = ["make_default"]

    @admin.action(description=_("Make the selected model the default"))
    def make_default(
        self, request: HttpRequest, queryset: QuerySet[LanguageModel]
    ) -> None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Select one model."), messages.ERROR)
            return
        model = chosen[0]
        model.make_default()
        self._tell(request, "made_default", model)

    def save_model(
        self, request: HttpRequest, obj: LanguageModel, form: Any, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            self._tell(request, "made", obj)
        elif form.changed_data:
            self._tell(request, "changed", obj, fields=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: LanguageModel) -> None:
        # Before it: what is deleted has no id any more.
        self._tell(request, "deleted", obj)
        super().delete_model(request, obj)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[LanguageModel]
    ) -> None:
        with transaction.atomic():
            for model in queryset:
                self.delete_model(request, model)

    def _tell(
        self, request: HttpRequest, action: str, model: LanguageModel, **details: Any
    ) -> None:
        transaction.on_commit(catalog.forget)
        model_administered.send(
            sender=LanguageModel,
            model=model,
            action=action,
            actor=request.user,
            details=details,
        )


class LedgerAdmin(Kept, admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the platform writes and nobody changes."""

    date_hierarchy = "date"
    search_fields = ["user__email"]
    list_select_related = ["user"]


@admin.register(DailyUsage)
class DailyUsageAdmin(LedgerAdmin):
    list_display = ["date", "user", "used", "reserved"]


@admin.register(UsageRecord)
class UsageRecordAdmin(LedgerAdmin):
    list_display = [
        "created_at",
        "user",
        "model",
        "prompt_tokens",
        "completion_tokens",
        "is_exact",
        "units",
    ]
    list_filter = ["is_exact"]
