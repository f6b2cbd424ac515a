"""The operator's view of conversations: who talks with whom, and how replies went.

Read-only: what people said is not edited. Texts are shown one conversation at a time.
"""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from conversations.models import Conversation, Generation, Message
from database.admin import ReadOnly

SHOWN = 200


class MessageInline(ReadOnly, admin.TabularInline):
    model = Message
    fields = ("created_at", "role", "status", "content")
    ordering = ("created_at", "id")
    extra = 0
    can_delete = False
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
class ConversationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("__str__", "user", "character", "status", "last_message_at")
    list_filter = ("status", "character")
    search_fields = ("user__email", "title")
    list_select_related = ("user", "character")
    date_hierarchy = "created_at"
    inlines = (MessageInline,)
    exclude = ("head",)
    show_full_result_count = False


class GenerationInline(ReadOnly, admin.StackedInline):
    model = Generation
    can_delete = False
    exclude = ("lengths",)


@admin.register(Message)
class MessageAdmin(ReadOnly, admin.ModelAdmin):
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

    @admin.display(description=_("model"))
    def model_used(self, message: Message) -> str:
        return message.generation.model if hasattr(message, "generation") else ""

    @admin.display(description=_("error"))
    def error(self, message: Message) -> str:
        return message.generation.error_code if hasattr(message, "generation") else ""
