"""What people and the operator see of models and their use."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.test import TestCase
from django.urls import reverse
from rest_framework.test import APIRequestFactory, force_authenticate

from llm import quota
from llm.api.views import UsageView
from llm.models import LanguageModel


def make_user(name: str, **fields: object) -> AbstractBaseUser:
    return get_user_model().objects.create_user(f"{name}@example.com", **fields)


class UsageApiTests(TestCase):
    def ask(self, user: AbstractBaseUser | None):
        request = APIRequestFactory().get("/api/v1/me/usage")
        force_authenticate(request, user)
        return UsageView.as_view()(request)

    def test_it_tells_what_the_person_used(self):
        alice = make_user("alice", daily_units=500)
        held = quota.reserve(alice.pk, 100, 500, "UTC")
        quota.settle(alice.pk, held.date, 100, 42)

        answer = self.ask(alice)

        assert answer.data["used"] == 42
        assert answer.data["limit"] == 500
        assert answer.data["remaining"] == 458
        assert answer.data["reset_at"].endswith("T00:00:00Z")

    def test_it_tells_nobody_elses(self):
        alice, charlie = make_user("alice"), make_user("charlie")
        quota.reserve(alice.pk, 100, 500, "UTC")

        assert self.ask(charlie).data["used"] == 0

    def test_it_asks_who_is_there(self):
        assert self.ask(None).status_code == 401


class AdminTests(TestCase):
    def setUp(self) -> None:
        self.ada = make_user("ada", role="admin")
        self.client.force_login(self.ada)

    def test_it_opens_every_page(self):
        held = quota.reserve(self.ada.pk, 100, 500, "UTC")
        quota.settle(self.ada.pk, held.date, 100, 42)
        model = LanguageModel.objects.create(label="Small", provider="demo", name="s")

        for page in ("languagemodel", "dailyusage", "usagerecord"):
            url = reverse(f"admin:llm_{page}_changelist")
            assert self.client.get(url).status_code == 200, page
        url = reverse("admin:llm_languagemodel_change", args=[model.pk])
        assert self.client.get(url).status_code == 200

    def test_it_moves_the_default(self):
        old = LanguageModel.objects.create(
            label="Old", provider="demo", name="old", is_default=True
        )
        new = LanguageModel.objects.create(label="New", provider="demo", name="new")

        self.client.post(
            reverse("admin:llm_languagemodel_changelist"),
            {"action": "make_default", "_selected_action": [str(new.pk)]},
        )

        assert list(LanguageModel.objects.filter(is_default=True)) == [new]
        old.refresh_from_db()
        assert not old.is_default

    def test_it_keeps_the_ledger_as_it_is(self):
        url = reverse("admin:llm_usagerecord_add")

        assert self.client.get(url).status_code == 403
