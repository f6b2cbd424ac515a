"""What a person says of themself."""

from datetime import date
from functools import cache
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.errors import BirthdateLocked

ADULT_AGE = 18
OLDEST_AGE = 130


#: What the names of places begin with; the others are of countries as they were, of
#: offsets, and of no place at all (`Factory`, `localtime`).
AREAS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@cache
def time_zones() -> frozenset[str]:
    """Return the time zones that are known; finding them reads the disk."""
    return frozenset(available_timezones())


def offered_time_zones() -> list[str]:
    """Return those people choose among, UTC first: the others may be stored."""
    places = [name for name in time_zones() if name.partition("/")[0] in AREAS]
    return ["UTC", *sorted(places)]


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


class Profile(models.Model):
    """What a person says of themself."""

    class Gender(models.TextChoices):
        FEMALE = "female", _("female")
        MALE = "male", _("male")
        NONBINARY = "nonbinary", _("non-binary")
        OTHER = "other", _("other")

    user = models.OneToOneField(
        "accounts.User",
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="profile",
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
