"""The operator's view of conversations: who talks with whom, and how replies went.

Read-only: what people said is not edited. Texts are shown one conversation at a time,
which is recorded as every other way to read them is; lists show none.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.authentication.bearer import signed_in
from conversations import access, lifecycle
from conversations.models import Conversation, Generation, Message
from database.admin import Kept, ReadOnly

SHOWN = 200


class Recorded(admin.ModelAdmin):
    """Pages that show what was said, of the conversation `conversation_of` names."""

    def conversation_of(self, obj: Any) -> Conversation:
        raise NotImplementedError

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if (shown := kwargs.get("obj")) is not None:
            access.note_reading(signed_in(request), self.conversation_of(shown))
        return super().render_change_form(request, context, *args, **kwargs)


class MessageInline(Kept, admin.TabularInline):
    model = Message
    fields = ("created_at", "role", "status", "content")
    ordering = ("created_at", "id")
    extra = 0
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        # A long conversation would be a page that never comes.
        newest = super().get_queryset(request).order_by("-created_at")
        match = request.resolver_match
        if match and (pk := match.kwargs.get("object_id")):
            shown = newest.filter(conversation=pk).values("pk")[:SHOWN]
            return newest.filter(pk__in=list(shown.values_list("pk", flat=True)))
        return newest


@admin.register(Conversation)
class ConversationAdmin(ReadOnly, Recorded):
    list_display = ("__str__", "user", "character", "status", "last_message_at")
    list_filter = ("status", "character")
    search_fields = ("user__email",)
    list_select_related = ("user", "character")
    date_hierarchy = "created_at"
    inlines = (MessageInline,)
    exclude = ("head",)
    show_full_result_count = False

    def conversation_of(self, obj: Conversation) -> Conversation:
        return obj

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Answer the page that asks with numbers, where Django lists every message."""
        said = Message.objects.filter(conversation__in=objs)
        counts = {
            str(rows.model._meta.verbose_name_plural): rows.count()
            for rows in (Conversation.objects.filter(pk__in=[o.pk for o in objs]), said)
        }
        return [str(conversation) for conversation in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Conversation) -> None:
        audit.record(
            "conversation.deleted",
            actor=signed_in(request),
            of=obj,
            owner=str(obj.user_id),
            via="admin site",
        )
        # Open replies are charged, and the owner's pages are told.
        lifecycle.delete(obj)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Conversation]
    ) -> None:
        for conversation in queryset:
            self.delete_model(request, conversation)


class GenerationInline(Kept, admin.StackedInline):
    model = Generation
    exclude = ("lengths",)


@admin.register(Message)
class MessageAdmin(Kept, Recorded):
    list_display = (
        "created_at",
        "conversation",
        "role",
        "status",
        "model_used",
        "error",
    )
    list_filter = ("role", "status", "generation__error_code")
    list_select_related = ("conversation", "generation")
    search_fields = ("conversation__user__email",)
    date_hierarchy = "created_at"
    inlines = (GenerationInline,)
    raw_id_fields = ("parent", "reply_to")
    show_full_result_count = False

    def conversation_of(self, obj: Message) -> Conversation:
        return obj.conversation

    @admin.display(description=_("model"))
    def model_used(self, message: Message) -> str:
        return message.generation.model if hasattr(message, "generation") else ""

    @admin.display(description=_("error"))
    def error(self, message: Message) -> str:
        return message.generation.error_code if hasattr(message, "generation") else ""
