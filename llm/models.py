"""The models an operator offers, and what people have used of them."""

import uuid

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class LanguageModel(models.Model):
    """A model reachable through a provider, as the operator configured it."""

    class Provider(models.TextChoices):
        DEMO = "demo", _("demo")
        OLLAMA = "ollama", "Ollama"
        OPENAI = "openai", "OpenAI"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    label = models.CharField(_("label"), max_length=100)
    provider = models.CharField(_("provider"), max_length=10, choices=Provider.choices)
    name = models.CharField(
        _("name"), max_length=200, help_text=_("As the provider calls it.")
    )
    context_tokens = models.PositiveIntegerField(_("context tokens"), default=8192)
    max_output_tokens = models.PositiveIntegerField(_("output tokens"), default=2048)
    temperature = models.FloatField(_("temperature"), null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_default = models.BooleanField(_("default"), default=False)

    class Meta:
        ordering = ["label"]
        verbose_name = _("model")
        verbose_name_plural = _("models")
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"],
                condition=Q(is_default=True),
                name="language_model_one_default",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def make_default(self) -> None:
        """Let this model answer whoever has no other preference."""
        with transaction.atomic():
            LanguageModel.objects.filter(is_default=True).update(is_default=False)
            self.is_default = self.is_active = True
            self.save(update_fields=["is_default", "is_active"])


class DailyUsage(models.Model):
    """Units one person used, and has reserved, on one of their own days."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="daily_usage",
        verbose_name=_("user"),
    )
    date = models.DateField(_("date"))
    used = models.PositiveIntegerField(_("used"), default=0)
    reserved = models.PositiveIntegerField(_("reserved"), default=0)

    class Meta:
        ordering = ["-date"]
        verbose_name = _("daily usage")
        verbose_name_plural = _("daily usage")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "date"], name="daily_usage_one_row_a_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.date}: {self.used}"


class UsageRecord(models.Model):
    """What one reply cost: written once, when it ended."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="usage_records",
        verbose_name=_("user"),
    )
    date = models.DateField(_("date"))
    model = models.CharField(_("model"), max_length=220)
    prompt_tokens = models.PositiveIntegerField(_("prompt tokens"))
    completion_tokens = models.PositiveIntegerField(_("completion tokens"))
    is_exact = models.BooleanField(_("exact"))
    units = models.PositiveIntegerField(_("units"))
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")
        indexes = [models.Index(fields=["user", "date"], name="usage_of_a_day")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.units} units"
