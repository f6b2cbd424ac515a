"""People: users, their profiles, teams, plans, and the API sessions they hold."""

import hashlib
import unicodedata
import uuid
from datetime import date, timedelta
from functools import cache
from typing import ClassVar
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.errors import BirthdateLocked

ADULT_AGE = 18
OLDEST_AGE = 130


def normalize_email(email: str) -> str:
    """Return `email` in the one spelling it is stored and looked up in."""
    return unicodedata.normalize("NFKC", email).strip().lower()


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


class UserManager(BaseUserManager["User"]):
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
    created_at = models.DateTimeField(
        _("created"), default=timezone.now, editable=False
    )

    objects = UserManager()

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
        """Store the user; a new password ends every API session, at whatever door.

        Django ends browser sessions itself. Only here meet the pages, the API, the
        admin site and `manage.py changepassword`.
        """
        if self._password is None or self._state.adding:  # type: ignore[attr-defined]
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            super().save(*args, **kwargs)
            self.api_sessions.revoke()

    def set_active(self, is_active: bool) -> None:
        """Let the person in or keep them out; out also ends their API sessions."""
        self.is_active = is_active
        with transaction.atomic():
            self.save(update_fields=["is_active"])
            if not is_active:
                self.api_sessions.revoke()

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
    def live(self) -> "SessionQuerySet":
        """Keep the sessions whose tokens are still good."""
        return self.filter(
            revoked_at=None, expires_at__gt=timezone.now(), user__is_active=True
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


class SetupLink(models.Model):
    """The one-time link that makes the first admin; only its hash is kept."""

    digest = models.CharField(primary_key=True, max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("set-up link")
        verbose_name_plural = _("set-up links")

    def __str__(self) -> str:
        return f"link of {self.created_at:%Y-%m-%d %H:%M}"
