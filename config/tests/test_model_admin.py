"""What an administrator decides about models on the admin site."""

from django.conf import settings
from django.test import TestCase
from django.urls import reverse

from accounts.models import AuditEvent, User
from accounts.tests.factories import ada
from llm import catalog
from llm.models import LanguageModel


class ModelAdminTestCase(TestCase):
    administrator: User

    @classmethod
    def setUpTestData(cls) -> None:
        cls.administrator = ada()
        cls.model = LanguageModel.objects.create(
            label="Small", provider="demo", name="demo", context_tokens=1000
        )

    def setUp(self):
        self.client.force_login(self.administrator)
        self.addCleanup(catalog.forget)

    def send(self, page: str, *args: object, **fields: object):
        address = reverse(f"admin:llm_languagemodel_{page}", args=args)
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post(address, fields)

    def recorded(self, action: str) -> AuditEvent:
        event = AuditEvent.objects.get(action=action)
        assert event.actor == self.administrator
        assert event.object_type == "languagemodel"
        return event


class DefaultModelTests(ModelAdminTestCase):
    def test_another_default_is_recorded(self):
        self.send("changelist", action="make_default", _selected_action=self.model.pk)

        event = self.recorded("model.made_default")
        assert event.object_id == str(self.model.pk)
        assert event.details == {"model": "demo", "via": "admin site"}
        assert LanguageModel.objects.get().is_default


class ModelTests(ModelAdminTestCase):
    entered = {
        "label": "Small",
        "provider": "demo",
        "name": "demo",
        "context_tokens": 1000,
        "max_output_tokens": 2048,
        "is_active": "on",
    }

    def test_a_new_one_is_recorded(self):
        self.send("add", **self.entered | {"label": "Large", "name": "large"})

        event = self.recorded("model.made")
        assert event.object_id == str(LanguageModel.objects.get(name="large").pk)
        assert event.details == {"model": "large", "via": "admin site"}

    def test_what_is_changed_is_recorded_by_the_names_of_its_fields(self):
        changes = {"label": "Smaller", "context_tokens": 500}

        self.send("change", self.model.pk, **self.entered | changes)

        event = self.recorded("model.changed")
        assert event.object_id == str(self.model.pk)
        assert event.details == {
            "model": "demo",
            "fields": ["label", "context_tokens"],
            "via": "admin site",
        }

    def test_nothing_is_recorded_where_nothing_is_changed(self):
        answer = self.send("change", self.model.pk, **self.entered)

        assert answer.status_code == 302
        assert not AuditEvent.objects.filter(action__startswith="model.").exists()

    def test_one_that_is_deleted_is_recorded(self):
        pk = str(self.model.pk)

        self.send("delete", pk, post="yes")

        event = self.recorded("model.deleted")
        assert event.object_id == pk
        assert event.details == {"model": "demo", "via": "admin site"}
        assert not LanguageModel.objects.exists()

    def test_each_of_several_that_are_deleted_is_recorded(self):
        other = LanguageModel.objects.create(label="Other", provider="demo", name="x")
        chosen = [self.model.pk, other.pk]

        self.send(
            "changelist", action="delete_selected", _selected_action=chosen, post="yes"
        )

        events = AuditEvent.objects.filter(action="model.deleted")
        assert {event.object_id for event in events} == {str(pk) for pk in chosen}
        assert not LanguageModel.objects.exists()

    def test_a_default_that_is_deleted_answers_nobody_any_more(self):
        LanguageModel.objects.update(max_output_tokens=7)
        self.send("changelist", action="make_default", _selected_action=self.model.pk)
        assert catalog.max_output_tokens() == 7

        self.send("delete", self.model.pk, post="yes")

        assert catalog.max_output_tokens() == settings.LLM_MAX_OUTPUT_TOKENS
