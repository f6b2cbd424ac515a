"""What was done, by whom and from where."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def with_actors(self) -> "AuditEventQuerySet":
        """Read the actors along; None of those whose account is gone."""
        # A join leaves out the events of the latter, when events of one are asked for.
        return self.prefetch_related("actor")

    def update(self, **kwargs: object) -> int:
        raise TypeError("Audit events are not changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events are not deleted.")


class AuditEvent(models.Model):
    """Something that was done, by whom and from where; never changed, never deleted.

    Written by `audit.record`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    # Without a constraint: the event outlives the account.
    actor = models.ForeignKey(
        User,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        related_name="+",
        verbose_name=_("actor"),
    )
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(_("kind of object"), max_length=40, blank=True)
    object_id = models.CharField(_("object"), max_length=64, blank=True)
    ip = models.GenericIPAddressField(_("IP"), null=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    details = models.JSONField(_("details"), default=dict)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "id"]
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        indexes = [
            models.Index(models.F("at").desc(), name="audit_events_in_order"),
            models.Index("object_type", "object_id", name="audit_events_of_an_object"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.at:%Y-%m-%d %H:%M}"

    def save(self, *args: object, **kwargs: object) -> None:
        if not self._state.adding:
            raise TypeError("Audit events are not changed.")
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def delete(self, *args: object, **kwargs: object) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events are not deleted.")
