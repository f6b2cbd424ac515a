"""People: users, their profiles, teams, plans, and the API sessions they hold."""

import hashlib
import unicodedata
import uuid
from datetime import date, datetime, timedelta
from functools import cache
from typing import ClassVar
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import access
from accounts.errors import BirthdateLocked

ADULT_AGE = 18
#: Fields of a user whose change ends sessions.
_BINDS_SESSIONS = frozenset({"password", "role", "is_active"})
OLDEST_AGE = 130


def normalize_email(email: str) -> str:
    """Return `email` in the one spelling it is stored and looked up in."""
    return unicodedata.normalize("NFKC", email).strip().lower()


def validate_email_spelling(email: str) -> None:
    """Refuse letters outside ASCII before the @, of an address already normalized.

    Django's pattern ignores case as Unicode does, and so takes the Turkish dotless i
    for an I: a second address that looks like the first.
    """
    if not email.rpartition("@")[0].isascii():
        raise ValidationError(_("Enter a valid email address."), code="invalid")


def digest(secret: str) -> str:
    """Return what is kept of a random secret: enough to know it again, no more."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def time_zones() -> frozenset[str]:
    """Return the time zones people can choose; finding them reads the disk."""
    return frozenset(available_timezones())


def validate_time_zone(name: str) -> None:
    if name not in time_zones():
        raise ValidationError(
            _("%(name)s is not a known time zone."), params={"name": name}
        )


def validate_birthdate(born: date) -> None:
    today = timezone.localdate()
    if born > today:
        raise ValidationError(_("A birthdate cannot lie in the future."))
    if today.year - born.year > OLDEST_AGE:
        raise ValidationError(
            _("A birthdate cannot lie more than %(years)s years back."),
            params={"years": OLDEST_AGE},
        )


class Team(models.Model):
    """The workers a supervisor sees."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("team")
        verbose_name_plural = _("teams")

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    """The limits a user has instead of the installation's own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    daily_units = models.PositiveIntegerField(_("units a day"))

    class Meta:
        ordering = ["name"]
        verbose_name = _("plan")
        verbose_name_plural = _("plans")

    def __str__(self) -> str:
        return self.name


class UserQuerySet(models.QuerySet["User"]):
    def visible_to(self, reader: "User | AnonymousUser") -> "UserQuerySet":
        """Keep whom `reader` sees (see `accounts/access.py`)."""
        return self.filter(access.seen_by(reader))

    def managed_by(self, manager: "User | AnonymousUser") -> "UserQuerySet":
        """Keep whose account `manager` may change."""
        return self.filter(access.managed_by(manager))


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    def create_user(self, email: str, password: str | None = None, **fields) -> "User":
        """Create a user and their profile, whose fields `profile` may name."""
        profile = fields.pop("profile", {})
        user = self.model(email=normalize_email(email), **fields)
        # Hashing is slow on purpose, and must not hold a transaction open.
        user.set_password(password)
        with transaction.atomic(using=self._db):
            user.save(using=self._db)
            Profile.objects.using(self._db).create(user=user, **profile)
        return user

    def create_superuser(
        self, email: str, password: str | None = None, **fields
    ) -> "User":
        return self.create_user(email, password, role=User.Role.ADMIN, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=normalize_email(username or ""))


class User(AbstractBaseUser):
    """A person with an account; their role decides what they may do."""

    class Role(models.TextChoices):
        ADMIN = "admin", _("admin")
        SUPERVISOR = "supervisor", _("supervisor")
        WORKER = "worker", _("worker")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail"), max_length=254, unique=True)
    role = models.CharField(
        _("role"), max_length=12, choices=Role.choices, default=Role.WORKER
    )
    team = models.ForeignKey(
        Team,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="members",
        verbose_name=_("team"),
    )
    plan = models.ForeignKey(
        Plan,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="subscribers",
        verbose_name=_("plan"),
    )
    daily_units = models.PositiveIntegerField(
        _("units a day"), null=True, blank=True, help_text=_("Overrides the plan.")
    )
    is_active = models.BooleanField(_("active"), default=True)
    # Asked for by the person; until then they can change their mind.
    delete_at = models.DateTimeField(_("to be deleted"), null=True, blank=True)
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )

    objects = UserManager()

    #: The session through which this person asks: "api:<id>" or "web:<digest of its
    #: key>", or "jwt:<id of the external identity>". Not a column: who authenticates a
    #: request or a socket sets it.
    credential = ""

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.UniqueConstraint(
                Lower("email"), name="user_email_unique_in_any_case"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        self.email = normalize_email(self.email)

    def save(self, *args, **kwargs) -> None:
        """Store the user; a new password, role or deactivation ends their sessions.

        A new password spares the session that `credential` names. Only here meet the
        pages, the API, the admin site and `manage.py changepassword`.
        """
        changed = kwargs.get("update_fields")
        binds_sessions = changed is None or _BINDS_SESSIONS.intersection(changed)
        if self._state.adding or not binds_sessions:
            super().save(*args, **kwargs)
            return
        # It imports this module.
        from accounts import sessions

        has_new_password = self._password is not None  # type: ignore[attr-defined]
        with transaction.atomic():
            known = User.objects.select_for_update(no_key=True).filter(pk=self.pk)
            before = known.values("role", "is_active", "password").first()
            super().save(*args, **kwargs)
            if before is None:
                return
            is_out = before["is_active"] and not self.is_active
            lost_password = (
                before["password"] != self.password and not self.has_usable_password()
            )
            if is_out or before["role"] != self.role:
                sessions.end_all(self)
            elif has_new_password or lost_password:
                sessions.end_all(self, keep=self.credential)

    def set_active(self, is_active: bool) -> None:
        """Let the person in or keep them out; out also ends their sessions."""
        self.is_active = is_active
        self.save(update_fields=["is_active"])

    def set_role(self, role: str) -> None:
        """Give the person another role; they have to sign in again with it."""
        self.role = role
        self.save(update_fields=["role"])

    # The admin site asks these three; the role answers.

    @property
    def is_staff(self) -> bool:
        return self.role == self.Role.ADMIN

    is_superuser = is_staff

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_staff

    @property
    def daily_limit(self) -> int:
        """Units this person may use in a day: theirs, their plan's or the default."""
        if self.daily_units is not None:
            return self.daily_units
        if self.plan is not None:
            return self.plan.daily_units
        return settings.DAILY_UNITS_LIMIT


class Profile(models.Model):
    """What a person says of themself."""

    class Gender(models.TextChoices):
        FEMALE = "female", _("female")
        MALE = "male", _("male")
        NONBINARY = "nonbinary", _("non-binary")
        OTHER = "other", _("other")

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="profile"
    )
    display_name = models.CharField(_("display name"), max_length=80, blank=True)
    birthdate = models.DateField(
        _("birthdate"), null=True, blank=True, validators=[validate_birthdate]
    )
    gender = models.CharField(
        _("gender"), max_length=12, choices=Gender.choices, blank=True
    )
    avatar = models.ImageField(_("avatar"), upload_to="avatars/", blank=True)
    language = models.CharField(
        _("language"), max_length=5, choices=settings.LANGUAGES, default="en"
    )
    time_zone = models.CharField(
        _("time zone"), max_length=64, default="UTC", validators=[validate_time_zone]
    )

    class Meta:
        verbose_name = _("profile")
        verbose_name_plural = _("profiles")

    def __str__(self) -> str:
        return self.display_name or self.user.email

    def edit(self, **changes: object) -> None:
        """Change what a person says of themself, and store it.

        Raises BirthdateLocked when the birthdate was set before: an age is not to be
        chosen to suit the character one wants to talk to.
        """
        with transaction.atomic():
            stored = Profile.objects.select_for_update().get(pk=self.pk).birthdate
            if stored is not None and changes.get("birthdate", stored) != stored:
                raise BirthdateLocked
            for name, value in changes.items():
                setattr(self, name, value)
            self.save(update_fields=changes)
            if changes.get("birthdate", stored) != stored:
                # It imports this module.
                from accounts import audit

                audit.record(
                    "profile.birthdate_changed",
                    actor=self.user,
                    of=self.user,
                    old=None,
                    new=str(self.birthdate),
                )

    def is_adult(self, today: date | None = None) -> bool:
        """Whether the stored birthdate makes this person 18 today; none means no.

        Born on 29 February, they come of age on 1 March.
        """
        if self.birthdate is None:
            return False
        today = today or timezone.localdate()
        born = self.birthdate
        had_birthday = (today.month, today.day) >= (born.month, born.day)
        return today.year - born.year - (not had_birthday) >= ADULT_AGE


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
        User, on_delete=models.CASCADE, related_name="api_sessions"
    )
    refresh_hash = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(default=session_expiry)
    revoked_at = models.DateTimeField(null=True, blank=True)

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
        User, on_delete=models.CASCADE, related_name="external_identities"
    )
    issuer = models.CharField(_("issuer"), max_length=255)
    subject = models.CharField(_("subject"), max_length=255)
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )

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
