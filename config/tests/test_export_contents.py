"""An export holds a row of everything that leads to a person, and no secret."""

import zipfile
from collections.abc import Callable
from datetime import date

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import TestCase

from accounts import audit
from accounts.authentication.sessions import issue_ticket, open_session
from accounts.data import exports
from accounts.models import (
    AuditEvent,
    Export,
    ExternalIdentity,
    Profile,
    Session,
    SocketTicket,
    TotpSetup,
    User,
)
from accounts.tests.factories import ada, alice, bob
from conversations.models import Conversation, Generation, Message
from conversations.tests.factories import answer, make_conversation, say
from llm.models import DailyUsage, UsageRecord

#: Models with a path to a person of which the archive has nothing, and why.
LEFT_OUT = {
    SocketTicket: "the digest of a secret that is good for 30 seconds",
    TotpSetup: "the sealed secret of an app that waits ten minutes for its first code",
    EmailConfirmation: "a secret in a mail, good once",
}


#: Models without one, and why they hold nothing about a person.
NOT_OF_A_PERSON = {
    "auth.Group": "not used: the role decides",
    "auth.Permission": "not used: the role decides",
    "auth.Group_permissions": "not used: the role decides",
    "contenttypes.ContentType": "the names of tables",
    "sessions.Session": "secrets; UserSession tells whose, from where and when",
    "accounts.Team": "its name stands in the account of its members",
    "accounts.Plan": "its name stands in the account of its subscribers",
    "accounts.SetupLink": "a secret for the first administrator, before anybody is",
    "characters.Character": "of the operator, for everybody",
    "llm.LanguageModel": "of the operator, for everybody",
}


def with_path_to_user() -> set[type[Model]]:
    """Return every model that belongs to a person, however indirectly."""
    found: set[type[Model]] = {User}
    while new := {
        model
        for model in apps.get_models(include_auto_created=True)
        if model not in found
        and any(
            field.related_model in found
            for field in model._meta.concrete_fields
            if field.is_relation
        )
    }:
        found |= new
    return found


def contents(user: User) -> dict[str, str]:
    """Return the text of every file of a new export of `user`."""
    exports.start(user)
    exports.run_waiting()
    with exports.newest(user).file.open("rb") as file, zipfile.ZipFile(file) as archive:
        return {
            name: archive.read(name).decode(errors="replace")
            for name in archive.namelist()
        }


class ContentsTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()
        cls.conversation = make_conversation(cls.alice, title="About whales")
        cls.asked = say(cls.conversation, "How large is a whale?")
        cls.reply = answer(cls.conversation, "As large as a house.")
        cls.other_branch = answer(cls.conversation, "Very.", parent=cls.asked)

    def rows(self) -> dict[type[Model], Callable[[], str]]:
        """Return for each model what makes a row of Alice's, and what shows it."""
        user = self.alice
        address = EmailAddress.objects.create(user=user, email="al@example.net")
        open_session(user, user_agent="Netscape 4")
        return {
            User: lambda: user.email,
            Profile: lambda: user.profile.display_name,
            EmailAddress: lambda: address.email,
            Session: lambda: "Netscape 4",
            UserSession: lambda: (
                UserSession.objects.create(
                    user=user, session_key="k" * 32, ip="192.0.2.7", user_agent="Mosaic"
                ).user_agent
            ),
            Authenticator: lambda: (
                Authenticator.objects.create(
                    user=user, type="totp", data={"secret": "SECRET-OF-TOTP"}
                ).type
            ),
            ExternalIdentity: lambda: (
                ExternalIdentity.objects.create(
                    user=user, issuer="https://old.example", subject="al-4711"
                ).subject
            ),
            Export: lambda: str(exports.start(user).pk),
            AuditEvent: lambda: self.audited("profile.changed"),
            LogEntry: lambda: (
                LogEntry.objects.create(
                    user=user,
                    content_type=ContentType.objects.get_for_model(User),
                    object_id="1",
                    object_repr="somebody she changed",
                    action_flag=CHANGE,
                ).object_repr
            ),
            Conversation: lambda: self.conversation.title,
            Message: lambda: self.other_branch.content,
            Generation: lambda: '"finish_reason": "stop"',
            UsageRecord: lambda: str(
                UsageRecord.objects.create(
                    user=user,
                    date=date(2026, 5, 1),
                    model="m",
                    prompt_tokens=1,
                    completion_tokens=2,
                    is_exact=True,
                    units=3,
                ).pk
            ),
            DailyUsage: lambda: str(
                DailyUsage.objects.create(user=user, date=date(2026, 5, 2), used=7).date
            ),
            SocketTicket: lambda: issue_ticket(
                Session.objects.get(user_agent="Netscape 4")
            ),
            TotpSetup: lambda: (
                TotpSetup.objects.create(user=user, secret="sealed secret").secret
            ),
            EmailConfirmation: lambda: EmailConfirmation.create(address).key,
        }

    def audited(self, action: str) -> str:
        audit.record(action, actor=self.alice, of=self.alice)
        return action

    def test_every_model_that_leads_to_a_person_is_in_it_or_left_out_for_a_reason(self):
        rows = self.rows()
        shown = {}
        for model in with_path_to_user():
            with self.subTest(model._meta.label):
                self.assertIn(
                    model, rows, "Export it (holdings.py), and make a row of it here."
                )
                shown[model] = rows[model]()

        everything = "\n".join(contents(self.alice).values())

        for model, sign in shown.items():
            with self.subTest(model._meta.label):
                if model in LEFT_OUT:
                    self.assertNotIn(sign, everything)
                else:
                    self.assertIn(sign, everything)
        self.assertLessEqual(set(LEFT_OUT), with_path_to_user())

    def test_every_other_model_is_known_to_hold_nothing_about_a_person(self):
        # One that names people without a foreign key would otherwise go unnoticed.
        others = {
            model._meta.label
            for model in apps.get_models(include_auto_created=True)
            if model not in with_path_to_user()
        }

        self.assertEqual(others, set(NOT_OF_A_PERSON))

    def test_no_secret_is_in_it(self):
        tokens = open_session(self.alice)
        UserSession.objects.create(user=self.alice, session_key="k" * 32, ip="::")
        Authenticator.objects.create(
            user=self.alice, type="recovery_codes", data={"seed": "SEED-OF-CODES"}
        )
        self.alice.refresh_from_db()
        session = Session.objects.get()

        everything = "\n".join(contents(self.alice).values())

        for secret in (
            self.alice.password,
            session.refresh_hash,
            tokens.refresh,
            "k" * 32,
            "SEED-OF-CODES",
        ):
            self.assertNotIn(secret, everything)

    def test_nothing_of_anybody_else_is_in_it(self):
        bob_ = bob()
        other = make_conversation(bob_, title="Bob's own")
        said = say(other, "Nobody else reads this")
        admin = ada()
        gone, owner = make_conversation(self.alice), str(self.alice.pk)
        audit.record("conversation.opened", actor=admin, of=gone, owner=owner)
        gone.delete()
        log = LogEntry.objects.log_actions
        log(admin.pk, [self.alice], 2, change_message="Noted of Alice")
        log(admin.pk, [bob_], 2, change_message="Noted of Bob")
        audit.record("user.deactivated", actor=admin, of=self.alice)

        files = contents(self.alice)

        everything = "\n".join(files.values())
        for foreign in (other.title, str(said.pk), str(admin.pk), admin.email):
            self.assertNotIn(foreign, everything)
        looked_at = files["conversations/looked_at_by_others.json"]
        self.assertIn("conversation.opened", looked_at)
        self.assertIn("Noted of Alice", files["administration.json"])
        self.assertNotIn("Noted of Bob", everything)
        self.assertIn("user.deactivated", files["events.json"])

    def test_every_branch_is_in_the_file_of_its_conversation(self):
        files = contents(self.alice)

        messages = files[f"conversations/messages/{self.conversation.pk}.json"]
        for message in (self.asked, self.reply, self.other_branch):
            self.assertIn(message.content, messages)
            self.assertIn(str(message.pk), messages)
