"""Conversations, their messages, and how each reply was generated."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.previews import PREVIEW_LENGTH
from conversations.querysets import ConversationQuerySet, MessageQuerySet


class Conversation(models.Model):
    """One user with one character."""

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        CLOSED = "closed", _("closed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="conversations",
        verbose_name=_("user"),
    )
    character = models.ForeignKey(
        "characters.Character",
        on_delete=models.PROTECT,
        related_name="conversations",
        verbose_name=_("character"),
    )
    model = models.ForeignKey(
        "llm.LanguageModel",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="conversations",
        verbose_name=_("model"),
    )
    title = models.CharField(_("title"), max_length=200, blank=True)
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.OPEN
    )
    is_pinned = models.BooleanField(_("pinned"), default=False)
    is_default = models.BooleanField(
        _("default"),
        default=False,
        help_text=_("Where messages go that name no conversation."),
    )
    # The last message of the branch the person sees; everything else about the
    # tree follows from the messages' parents.
    head = models.ForeignKey(
        "Message",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("head"),
    )
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )
    last_message_at = models.DateTimeField(_("last message"), default=timezone.now)
    last_message_preview = models.CharField(
        _("last words"), max_length=PREVIEW_LENGTH, blank=True
    )
    last_read_at = models.DateTimeField(_("last read"), default=timezone.now)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ["-is_pinned", "-last_message_at", "id"]
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = [
            models.Index(
                "user",
                models.F("is_pinned").desc(),
                models.F("last_message_at").desc(),
                name="conversations_of_a_user",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(is_default=True, status="open"),
                name="conversation_one_default_a_user",
            ),
        ]

    def __str__(self) -> str:
        # No word of what was said: the admin site's own log keeps it for ever.
        return f"{self.character_id} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        return self.status == self.Status.OPEN


class Message(models.Model):
    """One row of a conversation; a reply is the assistant message being written."""

    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")
        SYSTEM = "system", _("system")

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        IMAGE = "image", _("image")
        AUDIO = "audio", _("audio")
        FILE = "file", _("file")

    class Status(models.TextChoices):
        # of what a person wrote
        SENT = "sent", _("sent")
        DELIVERED = "delivered", _("delivered")
        READ = "read", _("read")
        # of a reply
        STREAMING = "streaming", _("streaming")
        COMPLETE = "complete", _("complete")
        STOPPED = "stopped", _("stopped")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")

    REPLY_STATUSES = ("streaming", "complete", "stopped", "interrupted", "failed")

    class Importance(models.TextChoices):
        LOW = "low", _("low")
        NORMAL = "normal", _("normal")
        HIGH = "high", _("high")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation,
        on_delete=models.CASCADE,
        related_name="messages",
        verbose_name=_("conversation"),
    )
    parent = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="children",
        verbose_name=_("comes after"),
    )
    reply_to = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="answers",
        verbose_name=_("answers"),
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    content = models.TextField(_("content"), blank=True)
    type = models.CharField(
        _("type"), max_length=6, choices=Type.choices, default=Type.TEXT
    )
    status = models.CharField(_("status"), max_length=12, choices=Status.choices)
    importance_level = models.CharField(
        _("importance"), max_length=6, choices=Importance.choices, default="normal"
    )
    media_urls = models.JSONField(_("media"), default=list, blank=True)
    client_id = models.CharField(
        _("id of the client"), max_length=64, null=True, blank=True
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            models.Index(
                fields=["conversation", "created_at", "id"], name="messages_in_order"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "client_id"],
                condition=Q(client_id__isnull=False),
                name="message_sent_once",
            ),
            models.UniqueConstraint(
                fields=["conversation"],
                condition=Q(status="streaming"),
                name="message_one_open_reply",
            ),
            models.CheckConstraint(
                condition=(
                    Q(
                        role="assistant",
                        status__in=(
                            "streaming",
                            "complete",
                            "stopped",
                            "interrupted",
                            "failed",
                        ),
                    )
                    | Q(
                        role__in=("user", "system"),
                        status__in=("sent", "delivered", "read"),
                    )
                ),
                name="message_status_fits_role",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_reply(self) -> bool:
        return self.role == self.Role.ASSISTANT

    @property
    def is_streaming(self) -> bool:
        return self.status == self.Status.STREAMING

    @property
    def can_continue(self) -> bool:
        if self.status != self.Status.COMPLETE:
            return self.status in (self.Status.INTERRUPTED, self.Status.STOPPED)
        # A greeting was written by nobody.
        generation = getattr(self, "generation", None)
        return generation is not None and generation.finish_reason == "length"


class Generation(models.Model):
    """One run of a model that writes a reply; whether it is open, the reply says."""

    message = models.OneToOneField(
        Message, on_delete=models.CASCADE, primary_key=True, related_name="generation"
    )
    # Which process writes it, and when that was last known to live.
    worker = models.CharField(max_length=64)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    stop_requested = models.BooleanField(default=False)
    # The session through which it was asked for (see `User.credential`).
    opened_by = models.CharField(max_length=80, blank=True)
    # The length in characters of every event so far, comma-separated: by it a
    # follower resumes after any sequence number, in any process, after a restart.
    lengths = models.TextField(blank=True, default="")
    model = models.CharField(_("model"), max_length=220, blank=True)
    finish_reason = models.CharField(_("finish reason"), max_length=20, blank=True)
    prompt_tokens = models.PositiveIntegerField(_("prompt tokens"), null=True)
    completion_tokens = models.PositiveIntegerField(_("completion tokens"), null=True)
    is_usage_exact = models.BooleanField(_("exact usage"), default=False)
    first_token_ms = models.PositiveIntegerField(_("first token, ms"), null=True)
    duration_ms = models.PositiveIntegerField(_("duration, ms"), null=True)
    error_code = models.CharField(_("error"), max_length=40, blank=True)
    # The prompt of the run that is under way, estimated: what it costs if it breaks.
    run_prompt_tokens = models.PositiveIntegerField(default=0)
    # Units held for it, on which of the user's days.
    reserved_units = models.PositiveIntegerField(default=0)
    usage_date = models.DateField()
    manifest = models.JSONField(
        _("manifest"), default=dict, help_text=_("What the prompt was made of.")
    )
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )

    class Meta:
        verbose_name = _("generation")
        verbose_name_plural = _("generations")

    def __str__(self) -> str:
        return f"{self.model} → {self.message_id}"
