"""How conversations and messages are shown on pages."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from conversations.endings import sentence
from conversations.markdown import GrowingMarkdown, markdown
from conversations.models import Conversation, Message

register = template.Library()

register.filter("markdown", markdown)


@register.filter
def heading(conversation: Conversation) -> str:
    """Return the conversation's title, or whom it is with."""
    return conversation.title or conversation.character.name


@register.filter
def ago(moment: datetime) -> str:
    """Return how long ago `moment` was, short enough for a list."""
    minutes = int((timezone.now() - moment).total_seconds() // 60)
    if minutes < 1:
        return gettext("now")
    if minutes < 60:
        return gettext("%d min") % minutes
    if minutes < 24 * 60:
        return gettext("%d h") % (minutes // 60)
    days = minutes // (24 * 60)
    if days < 7:
        return ngettext("%d day", "%d days", days) % days
    return date_format(timezone.localtime(moment), "SHORT_DATE_FORMAT")


@register.filter
def growing(message: Message) -> tuple[SafeString, SafeString]:
    """Return the finished blocks of a reply being written, and the open one."""
    return GrowingMarkdown().feed(message.content)


@register.filter
def failure(message: Message) -> str:
    """Return the sentence that says why a reply did not complete."""
    generation = getattr(message, "generation", None)
    return sentence(generation.error_code) if generation else ""


@register.filter
def is_cut_by_length(message: Message) -> bool:
    generation = getattr(message, "generation", None)
    return bool(generation and generation.finish_reason == "length")
