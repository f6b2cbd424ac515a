"""Users, their teams and plans, and what a person says of themself."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import access
from accounts.addresses import normalize_email, validate_email_spelling
from accounts.models.profiles import Profile

#: Fields of a user whose change ends sessions.
_BINDS_SESSIONS = frozenset({"password", "role", "is_active"})


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
        try:
            validate_email_spelling(self.email)
        except ValidationError as error:
            raise ValidationError({"email": error}) from error

    def save(self, *args, **kwargs) -> None:
        """Store the user; a new password, role or deactivation ends their sessions.

        A new password spares the session that `credential` names, and without
        `update_fields` is all that is stored. Only here meet the pages, the API, the
        admin site and `manage.py changepassword`.
        """
        has_new_password = self._password is not None  # type: ignore[attr-defined]
        is_whole = kwargs.get("update_fields") is None and not self._state.adding
        if has_new_password and is_whole:
            # Django's forms and commands store a row they read before a person typed
            # and a slow hash was made: its role may be another by now.
            kwargs["update_fields"] = ["password"]
        changed = kwargs.get("update_fields")
        binds_sessions = changed is None or _BINDS_SESSIONS.intersection(changed)
        if self._state.adding or not binds_sessions:
            super().save(*args, **kwargs)
            return
        # It imports this module.
        from accounts.authentication import sessions

        def is_written(name: str) -> bool:
            return changed is None or name in changed

        with transaction.atomic():
            known = User.objects.select_for_update(no_key=True).filter(pk=self.pk)
            before = known.values("role", "is_active", "password").first()
            super().save(*args, **kwargs)
            if before is None:
                return
            is_out = (
                is_written("is_active") and before["is_active"] and not self.is_active
            )
            has_new_role = is_written("role") and before["role"] != self.role
            lost_password = (
                before["password"] != self.password and not self.has_usable_password()
            )
            if is_out or has_new_role:
                sessions.end_all(self)
            elif has_new_password or lost_password:
                sessions.end_all(self, keep=self.credential)

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
    def sees_others(self) -> bool:
        """Whether there is a panel for them (see `accounts/access.py`)."""
        return access.sees_others(self)

    @property
    def daily_limit(self) -> int:
        """Units this person may use in a day: theirs, their plan's or the default."""
        if self.daily_units is not None:
            return self.daily_units
        if self.plan is not None:
            return self.plan.daily_units
        return settings.DAILY_UNITS_LIMIT
