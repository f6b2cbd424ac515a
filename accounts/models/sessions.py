"""What lets somebody in: API sessions, socket tickets, links, identities elsewhere."""

import hashlib
import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.users import User


def digest(secret: str) -> str:
    """Return what is kept of a random secret: enough to know it again, no more."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class SessionQuerySet(models.QuerySet["Session"]):
    def live(
        self, now: datetime | models.Expression | None = None
    ) -> "SessionQuerySet":
        """Keep the sessions whose tokens are still good."""
        return self.filter(
            revoked_at=None,
            expires_at__gt=now or timezone.now(),
            user__is_active=True,
        )

    def revoke(self) -> int:
        """End these sessions with all their tokens; return how many were not ended."""
        return self.filter(revoked_at=None).update(revoked_at=timezone.now())


def session_expiry():
    return timezone.now() + settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"]


class Session(models.Model):
    """One API sign-in: a family of refresh tokens of which only the newest is good.

    Access tokens name their session and die with it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        related_name="api_sessions",
        verbose_name=_("user"),
    )
    refresh_hash = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    ip = models.GenericIPAddressField(_("IP"), null=True, blank=True)
    user_agent = models.CharField(_("program"), max_length=300, blank=True)
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )
    last_seen_at = models.DateTimeField(_("last used"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"), default=session_expiry)
    revoked_at = models.DateTimeField(_("ended"), null=True, blank=True)

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen_at"]
        verbose_name = _("API session")
        verbose_name_plural = _("API sessions")

    def __str__(self) -> str:
        return f"{self.user_agent or _('unknown device')} ({self.ip or '?'})"

    @property
    def credential(self) -> str:
        """What the session is called where its kind is not known."""
        return f"api:{self.pk}"

    @property
    def is_live(self) -> bool:
        return (
            self.revoked_at is None
            and self.expires_at > timezone.now()
            and self.user.is_active
        )


class SocketTicketQuerySet(models.QuerySet["SocketTicket"]):
    def unexpired(self) -> "SocketTicketQuerySet":
        return self.filter(created_at__gt=timezone.now() - SocketTicket.LIFETIME)

    def expired(self) -> "SocketTicketQuerySet":
        return self.filter(created_at__lte=timezone.now() - SocketTicket.LIFETIME)


class SocketTicket(models.Model):
    """A one-time right to open one socket; only its hash is kept."""

    LIFETIME = timedelta(seconds=30)

    digest = models.CharField(primary_key=True, max_length=64)
    session = models.ForeignKey(
        Session, on_delete=models.CASCADE, related_name="tickets"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SocketTicketQuerySet.as_manager()

    class Meta:
        verbose_name = _("socket ticket")
        verbose_name_plural = _("socket tickets")

    def __str__(self) -> str:
        return f"ticket of {self.session_id}"


class TotpSetupQuerySet(models.QuerySet["TotpSetup"]):
    def unexpired(self) -> "TotpSetupQuerySet":
        return self.filter(begun_at__gt=timezone.now() - TotpSetup.LIFETIME)

    def expired(self) -> "TotpSetupQuerySet":
        return self.filter(begun_at__lte=timezone.now() - TotpSetup.LIFETIME)


class TotpSetup(models.Model):
    """The secret of an authenticator app that waits for its first code, sealed.

    Here rather than in the cache, so that it may be confirmed at another process.
    """

    LIFETIME = timedelta(minutes=10)

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="totp_setup"
    )
    secret = models.TextField()
    begun_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = TotpSetupQuerySet.as_manager()

    class Meta:
        verbose_name = _("set-up of an authenticator app")
        verbose_name_plural = _("set-ups of authenticator apps")

    def __str__(self) -> str:
        return f"set-up of {self.user_id}"


class SetupLinkQuerySet(models.QuerySet["SetupLink"]):
    def unexpired(self) -> "SetupLinkQuerySet":
        return self.filter(created_at__gt=timezone.now() - SetupLink.LIFETIME)

    def expired(self) -> "SetupLinkQuerySet":
        return self.filter(created_at__lte=timezone.now() - SetupLink.LIFETIME)


class SetupLink(models.Model):
    """The one-time link that makes the first admin; only its hash is kept.

    A new one leaves the others good: two processes that start together print one each.
    """

    LIFETIME = timedelta(days=1)

    digest = models.CharField(primary_key=True, max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SetupLinkQuerySet.as_manager()

    class Meta:
        verbose_name = _("set-up link")
        verbose_name_plural = _("set-up links")

    def __str__(self) -> str:
        return f"link of {self.created_at:%Y-%m-%d %H:%M}"


class ExternalIdentity(models.Model):
    """Who a user is to another issuer whose tokens are accepted."""

    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        related_name="external_identities",
        verbose_name=_("user"),
    )
    issuer = models.CharField(_("issuer"), max_length=255)
    subject = models.CharField(_("subject"), max_length=255)
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )

    # Kept, so that it does not link itself again by the rule about e-mails.
    is_refused = models.BooleanField(_("refused"), default=False, editable=False)

    class Meta:
        verbose_name = _("external identity")
        verbose_name_plural = _("external identities")
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "subject"], name="external_identity_known_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"

    @property
    def credential(self) -> str:
        """Return what stands for a session where there is none (`User.credential`)."""
        return f"jwt:{self.pk}"
