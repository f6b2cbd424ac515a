"""Copies of everything that is held about a person."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User


class Export(models.Model):
    """A copy of everything that is held about a person, made in the background."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="exports")
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.WAITING
    )
    # Percent of what there is to copy.
    progress = models.PositiveSmallIntegerField(_("progress"), default=0)
    # Which process makes it, and when that was last known to live.
    worker = models.CharField(max_length=64, blank=True)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    file = models.FileField(upload_to="exports/", blank=True)
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("export")
        verbose_name_plural = _("exports")
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(status__in=("waiting", "running")),
                name="export_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.WAITING, self.Status.RUNNING)
