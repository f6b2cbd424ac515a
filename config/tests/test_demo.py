"""What `make demo` leaves behind, and that it can be done again."""

import re
from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import CommandError, call_command
from django.db.models import F, Sum
from django.test import Client, TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from accounts.models import AuditEvent, ExternalIdentity, Team, User
from accounts.tests.factories import PASSWORD, make_user
from accounts.tests.races import at_once
from characters.models import Character
from characters.seeding import seed
from config.testing import Server
from conversations import demo, guardrails
from conversations.models import Conversation, Generation, Message
from conversations.transcripts import Transcript
from llm.models import DailyUsage, UsageRecord

ROLES = {"admin": 1, "supervisor": 2, "worker": 4}


def run() -> str:
    output = StringIO()
    call_command("demo", stdout=output)
    return output.getvalue()


def passwords(output: str) -> dict[str, str]:
    """Return what the command prints: e-mail → password."""
    return dict(re.findall(r"(\S+@demo\.example)\s+(\S+)", output))


def rows() -> dict[str, int]:
    kinds = (User, Team, Conversation, Message, Generation, UsageRecord, DailyUsage)
    return {kind.__name__: kind.objects.count() for kind in kinds}


class AccountTests(TestCase):
    def test_it_makes_accounts_of_every_role_that_say_what_they_are(self):
        given = passwords(run())

        users = User.objects.all()
        assert Counter(user.role for user in users) == ROLES
        assert {user.email for user in users} == set(given)
        for user in users:
            assert user.email.startswith("demo-")
            assert user.profile.display_name.startswith("Demo ")
            assert user.check_password(given[user.email])

    def test_every_password_is_long_and_its_own(self):
        given = passwords(run())

        assert len(set(given.values())) == len(given)
        assert all(len(password) >= 16 for password in given.values())

    def test_the_password_opens_the_sign_in_page(self):
        for email, password in passwords(run()).items():
            answer = Client().post(
                "/accounts/login/", {"login": email, "password": password}
            )
            assert answer.status_code == 302, email

    def test_each_supervisor_has_a_team_with_workers(self):
        run()

        for supervisor in User.objects.filter(role="supervisor"):
            assert supervisor.team.members.filter(role="worker").count() == 2
        assert Team.objects.count() == 2

    def test_some_have_a_plan_and_some_may_not_talk_with_everyone(self):
        run()

        workers = User.objects.filter(role="worker")
        assert workers.filter(plan__isnull=False).count() == 1
        grown_up = [worker.profile.is_adult() for worker in workers]
        assert sorted(grown_up) == [False, False, True, True]
        assert workers.filter(profile__birthdate=None).count() == 1

    def test_again_it_gives_new_passwords_and_doubles_nothing(self):
        first = passwords(run())
        before = rows()

        second = passwords(run())

        assert rows() == before
        assert set(first) == set(second)
        for user in User.objects.all():
            assert user.check_password(second[user.email])
            assert not user.check_password(first[user.email])

    def test_it_ends_the_sessions_of_the_old_password(self):
        first = passwords(run())
        email = "demo-worker-1@demo.example"
        client = Client()
        client.post("/accounts/login/", {"login": email, "password": first[email]})
        assert client.get("/settings/profile").status_code == 200

        run()

        assert client.get("/settings/profile").status_code == 302

    def test_it_takes_over_an_account_somebody_made_with_the_address(self):
        stranger = make_user("demo-admin@demo.example", is_active=False)
        TOTP.activate(stranger, generate_totp_secret())
        ExternalIdentity.objects.create(user=stranger, issuer="x", subject="y")
        EmailAddress.objects.create(user=stranger, email=stranger.email, primary=True)

        run()

        stranger.refresh_from_db()
        assert (stranger.role, stranger.is_active) == ("admin", True)
        assert not stranger.check_password(PASSWORD)
        assert not Authenticator.objects.exists()
        assert not ExternalIdentity.objects.exists()
        assert not EmailAddress.objects.exists()

    def test_it_leaves_other_people_alone(self):
        alice = make_user("alice@example.com")

        run()

        alice.refresh_from_db()
        assert alice.check_password(PASSWORD)
        assert not alice.conversations.exists()

    def test_it_is_audited_without_the_passwords(self):
        run()

        told = AuditEvent.objects.get(action="demo.passwords_set").details
        ids = {str(user.pk) for user in User.objects.all()}
        assert (set(told), set(told["users"].split())) == ({"users"}, ids)

    @override_settings(PRODUCTION=True)
    def test_production_refuses_it_in_one_line(self):
        with pytest.raises(CommandError, match="DEBUG=false") as refusal:
            run()

        assert "\n" not in str(refusal.value)
        assert not User.objects.exists()


class HistoryTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        run()

    def test_there_is_something_of_everything(self):
        said = Message.objects.filter(generation__isnull=False)
        statuses = set(said.values_list("status", flat=True))
        assert statuses == {"complete", "stopped", "interrupted"}
        characters = Conversation.objects.values_list("character", flat=True)
        assert set(characters) == {"assistant", "luna", "vera"}
        assert set(User.objects.values_list("profile__language", flat=True)) == {
            "en",
            "es",
        }
        unread = Conversation.objects.with_unread().values_list("unread", flat=True)
        assert sorted(set(unread)) == [0, 1]
        assert Conversation.objects.filter(is_pinned=True).exists()
        assert all(user.conversations.exists() for user in User.objects.all())

    def test_it_lies_in_the_last_two_weeks(self):
        moments = Message.objects.values_list("created_at", flat=True)

        assert min(moments) > timezone.now() - timedelta(days=14)
        assert max(moments) <= timezone.now()
        assert timezone.now() - max(moments) < timedelta(days=1)
        assert min(moments) < timezone.now() - timedelta(days=10)

    def test_a_reply_that_was_written_again_stands_beside_the_first(self):
        asked = [
            message
            for message in Message.objects.filter(role="user")
            if message.children.filter(role="assistant").count() == 2
        ]

        assert asked
        for message in asked:
            first, second = message.children.order_by("created_at")
            shown = Message.objects.branch_ids(message.conversation.head_id, 100)
            assert second.pk in shown
            assert first.pk not in shown

    def test_every_branch_leads_from_the_newest_message_to_the_first(self):
        for conversation in Conversation.objects.all():
            shown = Message.objects.branch(conversation.head_id, 100)
            assert shown[0].parent_id is None
            roles = [message.role for message in shown]
            assert roles == ["assistant", *["user", "assistant"] * (len(roles) // 2)]
            times = [message.created_at for message in shown]
            assert times == sorted(times)
            assert conversation.last_message_at == times[-1]

    def test_nobody_talks_with_whom_they_may_not(self):
        for conversation in Conversation.objects.all():
            profile = conversation.user.profile
            assert guardrails.may_talk(profile, conversation.character)

    def test_the_books_balance(self):
        for user in User.objects.all():
            generations = Generation.objects.filter(message__conversation__user=user)
            spent = generations.aggregate(
                n=Sum(F("prompt_tokens") + F("completion_tokens"))
            )["n"]
            recorded = user.usage_records.aggregate(n=Sum("units"))["n"]
            days = user.daily_usage.aggregate(used=Sum("used"), held=Sum("reserved"))
            assert spent == recorded == days["used"] > 0
            assert days["held"] == 0

    def test_followers_can_read_every_reply_from_its_lengths(self):
        for generation in Generation.objects.select_related("message"):
            text = generation.message.content
            assert Transcript.restore(text, generation.lengths).since(0) == text

    def test_what_was_cut_short_can_be_continued(self):
        cut = Message.objects.filter(status__in=("stopped", "interrupted"))

        for reply in cut:
            assert reply.can_continue
            assert reply.generation.error_code == reply.status

    def test_every_page_shows_it(self):
        for user in User.objects.all():
            client = Client()
            client.force_login(user)
            self.assertContains(client.get("/c/"), 'href="/c/')
            for conversation in user.conversations.all():
                page = client.get(f"/c/{conversation.pk}")
                self.assertContains(page, conversation.title)

    def test_it_writes_again_what_somebody_deleted(self):
        before = rows()
        Conversation.objects.filter(user__email="demo-worker-1@demo.example").delete()

        run()

        assert Conversation.objects.count() == before["Conversation"]


class OwnCharactersTests(TestCase):
    def test_it_does_without_characters_that_the_operator_removed(self):
        seed()
        Character.objects.exclude(slug="assistant").delete()

        run()

        characters = Conversation.objects.values_list("character", flat=True)
        assert set(characters) == {"assistant"}


class TogetherTests(TransactionTestCase):
    def test_two_at_once_double_nothing(self):
        seed()

        results = at_once([demo.make, demo.make])

        assert all(isinstance(result, list) for result in results), results
        assert User.objects.count() == len(demo.CAST)
        expected = sum(len(member.dialogues) for member in demo.CAST)
        assert Conversation.objects.count() == expected


def test_it_works_beside_the_server(server: Server):
    given = passwords(server.manage("demo"))

    for email, password in given.items():
        body = {"email": email, "password": password}
        assert server.post("/auth/login", body)["access_token"]
    assert "Traceback" not in server.log
    assert not any(password in server.log for password in given.values())


def test_it_needs_no_server_that_ran_before(tmp_path):
    server = Server(tmp_path)

    output = server.manage("demo")

    assert len(passwords(output)) == sum(ROLES.values())
    assert f"{server.url}/accounts/login/" in output
    assert "make run" in output
