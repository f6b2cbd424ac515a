"""Rules that hold at whatever door."""

from datetime import date
from io import StringIO
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import SimpleTestCase, TestCase

from accounts.models import (
    Plan,
    Profile,
    Session,
    User,
    normalize_email,
    validate_birthdate,
)
from accounts.tests.factories import ada, alice, bearer, make_user


class AgeTests(SimpleTestCase):
    def is_adult(self, born, today):
        return Profile(birthdate=born).is_adult(today)

    def test_it_begins_on_the_eighteenth_birthday(self):
        born = date(2008, 11, 21)

        assert not self.is_adult(born, date(2026, 11, 20))
        assert self.is_adult(born, date(2026, 11, 21))

    def test_it_begins_on_the_first_of_march_for_the_29th_of_february(self):
        born = date(2008, 2, 29)

        assert not self.is_adult(born, date(2026, 2, 28))
        assert self.is_adult(born, date(2026, 3, 1))

    def test_it_is_nobody_without_a_birthdate(self):
        assert not self.is_adult(None, date(2026, 11, 21))

    def test_it_is_nobody_from_the_future_or_the_far_past(self):
        today = date(2026, 11, 21)
        with mock.patch(
            "accounts.models.profiles.timezone.localdate", return_value=today
        ):
            validate_birthdate(today)
            validate_birthdate(date(1896, 1, 1))
            for born in (date(2026, 11, 22), date(1895, 12, 31)):
                with pytest.raises(ValidationError):
                    validate_birthdate(born)


class UserTests(TestCase):
    def test_it_has_one_spelling_of_an_email(self):
        assert normalize_email(" ＡLICE@Example.COM\t") == "alice@example.com"
        assert make_user("Alice@Example.com").email == "alice@example.com"
        assert User.objects.get_by_natural_key("ALICE@EXAMPLE.COM")

    def test_it_takes_no_look_alike_for_an_email(self):
        with pytest.raises(ValidationError) as refused:
            User(email="bıll@example.com").clean()

        assert list(refused.value.message_dict) == ["email"]

    def test_it_is_unique_in_any_case(self):
        alice()

        with pytest.raises(IntegrityError), transaction.atomic():
            User(email="Alice@Example.com").save()

    def test_it_is_made_with_a_profile_or_not_at_all(self):
        with pytest.raises(IntegrityError), transaction.atomic():
            make_user(profile={"language": None})

        assert not User.objects.exists()

    def test_it_knows_its_daily_limit(self):
        with self.settings(DAILY_UNITS_LIMIT=3):
            user = make_user()
            assert user.daily_limit == 3
            user.plan = Plan.objects.create(name="Plus", daily_units=5)
            assert user.daily_limit == 5
            user.daily_units = 0
            assert user.daily_limit == 0

    def test_it_makes_administrators_on_the_command_line(self):
        call_command(
            "createsuperuser", "--noinput", email="root@example.com", stdout=StringIO()
        )

        root = User.objects.get()
        assert root.is_staff
        assert root.profile

    def test_it_ends_api_sessions_when_the_operator_sets_a_password(self):
        user = ada()
        bearer(user)

        with mock.patch("getpass.getpass", return_value="another long password"):
            call_command("changepassword", user.email, stdout=StringIO())

        assert not Session.objects.live().exists()
        assert User.objects.get().check_password("another long password")

    def test_it_keeps_api_sessions_when_a_hash_is_modernised(self):
        user = alice()
        bearer(user)

        with self.settings(
            PASSWORD_HASHERS=[
                "django.contrib.auth.hashers.PBKDF2PasswordHasher",
                "django.contrib.auth.hashers.MD5PasswordHasher",
            ]
        ):
            assert user.check_password("correct horse battery")

        assert User.objects.get().password.startswith("pbkdf2")
        assert Session.objects.live().exists()
