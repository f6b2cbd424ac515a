"""What a form of the admin site brings besides its fields changes nothing.

The forms are those of every registered model, filled in as the site shows them.
"""

import uuid
from collections.abc import Iterator
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import Group
from django.core.files import File
from django.db import models, transaction
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.models import ExternalIdentity, User
from accounts.tests.factories import PASSWORD
from config.tests.smuggling import SmugglingTestCase
from config.tests.world import PEOPLE
from llm.models import DailyUsage, LanguageModel, UsageRecord

#: What is entered on the page of a new object.
NEW: dict[str, dict[str, Any]] = {
    "accounts.plan": {"name": "New", "daily_units": 5},
    "accounts.team": {"name": "New"},
    "accounts.user": {
        "email": "new@example.com",
        "role": "worker",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    },
    "auth.group": {"name": "New"},
    "characters.character": {
        "slug": "new",
        "name": "New",
        "tone": "neutral",
        "rating": "everyone",
        "dominance": 0.5,
        "affection": 0.5,
        "explicit_level": 0,
    },
    "llm.languagemodel": {
        "label": "New",
        "provider": "demo",
        "name": "new",
        "context_tokens": 1000,
        "max_output_tokens": 100,
        "temperature": 1,
    },
}

#: Columns that no form shows and that saving one changes, and why.
CHANGED_BY_SAVING: set[str] = set()
OLD = "2001-02-03 04:05:06"


class AdminFormTests(SmugglingTestCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        owner = cls.world.owner
        # One row at least of everything that the site shows.
        Group.objects.create(name="Group")
        EmailAddress.objects.get_or_create(user=owner, email=owner.email)
        ExternalIdentity.objects.create(user=owner, issuer="a", subject="1")
        LanguageModel.objects.create(label="Model", provider="demo", name="demo")
        today = timezone.localdate()
        DailyUsage.objects.create(user=owner, date=today)
        UsageRecord.objects.create(
            user=owner,
            date=today,
            model="demo",
            prompt_tokens=1,
            completion_tokens=1,
            is_exact=True,
            units=2,
        )
        audit.record("user.changed", of=owner)
        cls.new = NEW | {
            "accounts.externalidentity": {
                "issuer": "https://a.example",
                "subject": "2",
                "user": cls.other.pk,
            },
        }

    def each(self) -> Iterator[tuple[str, ModelAdmin, Model]]:
        """Yield each registered model with one of its rows."""
        for model, site in admin.site._registry.items():
            rows = model._base_manager
            # Alice, where it is about people.
            mine = rows.filter(pk=str(self.world.owner.pk)) if model is User else rows
            yield model._meta.label_lower, site, mine.first()

    def post(self, actor: str, address: str, form: dict[str, Any]):
        return self.world.browser(actor).post(address, form)

    def test_the_form_of_a_row_changes_only_what_it_shows(self):
        for name, site, row in self.each():
            address = page(row, "change", row.pk)
            shown = self.world.browser("admin").get(address)
            fields = set(shown.context["adminform"].form.fields)
            with self.subTest(name), transaction.atomic():
                planted = smuggled(row, beside=fields)
                answer = self.post("admin", address, planted | filled(shown))
                after = columns(type(row)._base_manager.get(pk=row.pk))
                transaction.set_rollback(True)

                is_form = site.has_change_permission(shown.wsgi_request, row)
                expected = 302 if is_form else 403
                self.assertEqual(answer.status_code, expected, errors_of(answer))
                before = columns(row)
                changed = {c for c in before if after[c] != before[c]}
                self.assertLessEqual(changed, fields | CHANGED_BY_SAVING)

    def test_the_form_of_a_new_row_sets_only_what_it_shows(self):
        added = set()
        for name, _site, row in self.each():
            address = page(row, "add")
            shown = self.world.browser("admin").get(address)
            if shown.status_code == 403:
                self.assertEqual(self.post("admin", address, {}).status_code, 403)
                continue
            fields = set(shown.context["adminform"].form.fields)
            added.add(name)
            with self.subTest(name), transaction.atomic():
                known = set(type(row)._base_manager.values_list("pk", flat=True))
                planted = smuggled(row, beside=fields)
                said = planted | filled(shown) | self.new[name]
                answer = self.post("admin", address, said)
                self.assertEqual(answer.status_code, 302, errors_of(answer))
                made = type(row)._base_manager.exclude(pk__in=known).get()
                transaction.set_rollback(True)

                for column, value in columns(made).items():
                    if column in planted:
                        self.assertNotEqual(str(value), planted[column], column)
        self.assertEqual(added, set(self.new))

    def test_nobody_else_sends_a_form(self):
        for name, _site, row in self.each():
            shown = self.world.browser("admin").get(page(row, "change", row.pk))
            forms = {
                page(row, "change", row.pk): filled(shown),
                page(row, "add"): filled(shown) | self.new.get(name, {}),
                page(row, "delete", row.pk): {"post": "yes"},
                page(row, "changelist"): {
                    "action": "delete_selected",
                    "_selected_action": str(row.pk),
                    "post": "yes",
                },
            }
            for address, form in forms.items():
                for actor in set(PEOPLE) - {"admin"}:
                    with self.subTest(address, actor=actor):
                        before = list(type(row)._base_manager.order_by("pk").values())
                        answer = self.post(actor, address, form)
                        after = list(type(row)._base_manager.order_by("pk").values())
                        self.assertIn(answer.status_code, (302, 403))
                        if answer.status_code == 302:
                            self.assertIn("/login/?next=", answer["Location"])
                        self.assertEqual(after, before)


def page(row: Model, name: str, *args: Any) -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{name}", args=args)


def columns(row: Model) -> dict[str, Any]:
    return {field.name: field.value_from_object(row) for field in row._meta.fields}


def smuggled(row: Model, beside: set[str]) -> dict[str, str]:
    """Return another value than the row's for every column that a form does not show.

    And for some that its model does not have.
    """
    said = {"pk": "7", "is_staff": "on", "is_superuser": "on", "groups": "1"}
    for field in row._meta.fields:
        if field.name in beside:
            continue
        match field:
            case models.BooleanField():
                # A box that is not ticked is not sent.
                said |= {} if field.value_from_object(row) else {field.name: "on"}
            case models.DateTimeField():
                said |= {field.name: OLD, f"{field.name}_0": OLD[:10]}
                said[f"{field.name}_1"] = OLD[11:]
            case models.DateField():
                said[field.name] = OLD[:10]
            case models.UUIDField():
                said[field.name] = str(uuid.UUID(int=7))
            case models.ForeignKey():
                others = field.related_model._base_manager
                other = others.exclude(pk=field.value_from_object(row)).first()
                said |= {field.name: str(other.pk)} if other else {}
            case models.IntegerField() | models.FloatField():
                said[field.name] = "7654321"
            case _:
                said[field.name] = "smuggled"
    return said


def filled(shown) -> dict[str, Any]:
    """Return what a browser would send of the forms on a page."""
    formsets = [inline.formset for inline in shown.context["inline_admin_formsets"]]
    forms = [shown.context["adminform"].form]
    forms += [
        form for formset in formsets for form in (formset.management_form, *formset)
    ]
    said = {}
    for form in forms:
        for field in form:
            value = field.value()
            match value:
                # A file is sent when one was chosen.
                case None | False | File():
                    continue
                case True:
                    value = "on"
                case list():
                    value = [str(one) for one in value]
            said[field.html_name] = value
    return said


def errors_of(answer) -> Any:
    """Return what a form that is shown again complains of."""
    return (answer.context or {}).get("errors")
