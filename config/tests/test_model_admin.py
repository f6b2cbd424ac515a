"""What an administrator decides about models on the admin site."""

from django.test import TestCase
from django.urls import reverse

from accounts.models import AuditEvent
from accounts.tests.factories import ada
from llm.models import LanguageModel


class DefaultModelTests(TestCase):
    def test_another_default_is_recorded(self):
        administrator = ada()
        model = LanguageModel.objects.create(
            label="Small", provider="demo", name="demo", context_tokens=1000
        )
        self.client.force_login(administrator)

        self.client.post(
            reverse("admin:llm_languagemodel_changelist"),
            {"action": "make_default", "_selected_action": [str(model.pk)]},
        )

        event = AuditEvent.objects.get(action="model.made_default")
        assert event.actor == administrator
        assert event.object_id == str(model.pk)
        assert event.details == {"model": "demo", "via": "admin site"}
        assert LanguageModel.objects.get().is_default
