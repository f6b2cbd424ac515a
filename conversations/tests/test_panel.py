"""The panel: people, their conversations and what was said, for who sees others."""

from unittest import mock
from uuid import uuid4

from django.urls import reverse

from accounts.models import AuditEvent, User
from accounts.tests.factories import make_user
from conversations import panel
from conversations.models import Conversation
from conversations.tests.factories import make_conversation, say, talk
from conversations.tests.test_access import TeamTestCase


class PanelTestCase(TeamTestCase):
    def address(self, person=None, conversation=None, step=""):
        if conversation is not None:
            return f"/panel/{person.pk}/{conversation.pk}{step}"
        return f"/panel/{person.pk}" if person else "/panel"

    def look(self, reader, *where, **query):
        self.client.force_login(reader)
        return self.client.get(self.address(*where), query)

    def hand(self, by, person, conversation, **form):
        self.client.force_login(by)
        return self.client.post(self.address(person, conversation, "/reassign"), form)


class SightTests(PanelTestCase):
    def names(self, page):
        return [str(one.profile) for one in page.context["people"]]

    def test_supervisors_see_their_workers_and_themselves(self):
        page = self.look(self.sofia)
        assert self.names(page) == ["Alice", "Bob", "Sofia"]
        assert len(self.names(self.look(self.ada))) == User.objects.count()

    def test_workers_have_no_panel(self):
        for where in ((), (self.alice,), (self.alice, self.conversation)):
            assert self.look(self.alice, *where).status_code == 403
        for where in ((self.alice,), (self.alice, self.conversation)):
            assert self.look(self.charlie, *where).status_code == 404

    def test_what_somebody_else_supervises_does_not_exist(self):
        assert self.look(self.simon, self.alice).status_code == 404
        assert self.look(self.simon, self.alice, self.conversation).status_code == 404
        # Nor through the address of somebody whom they see.
        page = self.look(self.simon, self.charlie, self.conversation)
        assert page.status_code == 404
        assert self.look(self.sofia, self.colleague).status_code == 404

    def test_people_are_found_by_name_or_mail(self):
        assert self.names(self.look(self.sofia, q="ali")) == ["Alice"]
        assert self.names(self.look(self.sofia, q="BOB@")) == ["Bob"]
        page = self.look(self.sofia, q="charlie")
        self.assertContains(page, "Nobody whom you see")

    def test_odd_questions_are_answered(self):
        for query in ({"q": "%_\\"}, {"people": "x"}, {"page": "99999999999999"}):
            assert self.look(self.sofia, self.alice, **query).status_code == 200

    def test_the_way_there_is_shown_to_who_has_one(self):
        link = f'href="{reverse("panel")}"'
        for reader, shown in ((self.sofia, True), (self.ada, True), (self.bob, False)):
            self.client.force_login(reader)
            assert (link in self.client.get("/").content.decode()) is shown


class ReadingTests(PanelTestCase):
    def test_it_shows_what_was_said(self):
        page = self.look(self.sofia, self.alice, self.conversation)
        self.assertContains(page, "Good evening, Alice")
        self.assertNotContains(page, reverse("continue_reply", args=[self.reply.pk]))

    def test_opening_is_recorded_once(self):
        for _ in range(3):
            self.look(self.sofia, self.alice, self.conversation)
        self.look(self.sofia, self.alice)
        assert self.openings() == [self.sofia]
        mine = make_conversation(self.sofia)
        page = self.look(self.sofia, self.sofia, mine)
        assert self.openings() == [self.sofia]
        self.assertNotContains(page, "is recorded")

    def test_what_is_shown_beside_a_refusal_is_recorded_too(self):
        self.hand(self.sofia, self.alice, self.conversation, to="nobody@example.com")
        assert self.openings() == [self.sofia]

    def test_looking_at_somebodys_list_is_recorded(self):
        for _ in range(2):
            self.look(self.sofia, self.alice)
        self.look(self.sofia, self.sofia)
        self.look(self.sofia)
        (event,) = AuditEvent.objects.filter(action="conversations.listed")
        assert (event.actor, event.object_id) == (self.sofia, str(self.alice.pk))

    def test_reading_is_not_the_owners_reading(self):
        before = self.rows()
        self.look(self.sofia, self.alice, self.conversation)
        assert self.rows() == before

    def test_an_old_address_leads_to_whose_it_is_now(self):
        page = self.look(self.sofia, self.bob, self.conversation)
        self.assertRedirects(page, self.address(self.alice, self.conversation))

    def test_nothing_said_becomes_markup(self):
        say(self.conversation, "<script>alert(1)</script>")
        self.alice.profile.display_name = "<b>Alice</b>"
        self.alice.profile.save()
        page = self.look(self.sofia, self.alice, self.conversation)
        assert b"<script>alert" not in page.content
        assert b"<b>Alice" not in page.content

    def test_it_costs_the_same_however_much_there_is(self):
        def cost():
            self.client.force_login(self.sofia)
            with self.assertNumQueries(QUERIES):
                self.client.get(self.address(self.alice, self.conversation))

        QUERIES = 13
        self.look(self.sofia, self.alice, self.conversation)
        cost()
        for number in range(30):
            make_user(f"n{number}@example.com", team=self.sofia.team)
            make_conversation(self.alice)
        talk(self.conversation, 60)
        cost()

    def test_columns_have_pages(self):
        for _ in range(3):
            make_conversation(self.alice)
        with mock.patch.object(panel, "PAGE_SIZE", 2):
            first = self.look(self.sofia, self.alice)
            assert len(first.context["conversations"]) == 2
            assert "?page=2" in first.content.decode()
            assert "?people=2" in first.content.decode()
            second = self.look(self.sofia, self.alice, page=2, people=2)
            assert len(second.context["conversations"]) == 2
            assert [str(one.profile) for one in second.context["people"]] == ["Sofia"]


class HandingOverTests(PanelTestCase):
    def owner(self):
        return Conversation.objects.get(pk=self.conversation.pk).user

    def test_it_is_handed_over_and_shown_where_it_is_now(self):
        answered = self.hand(
            self.sofia,
            self.alice,
            self.conversation,
            to=" BOB@example.com ",
            reason="Until Monday",
        )
        assert answered.url == self.address(self.bob, self.conversation)
        page = self.client.get(answered.url)
        self.assertContains(page, "The conversation is now Bob’s.")
        self.assertContains(page, "Until Monday")
        assert self.owner() == self.bob

    def test_it_says_why_not_and_keeps_what_was_typed(self):
        for to in ("charlie@example.com", "nobody@example.com", ""):
            answered = self.hand(
                self.sofia, self.alice, self.conversation, to=to, reason="Typed"
            )
            self.assertContains(answered, "You see nobody", status_code=400)
            self.assertContains(answered, "Typed", status_code=400)
        answered = self.hand(
            self.sofia,
            self.alice,
            self.conversation,
            to="bob@example.com",
            reason="x" * 501,
        )
        assert answered.status_code == 400
        assert self.owner() == self.alice

    def test_it_offers_whom_it_can_be_given_to(self):
        User.objects.filter(pk=self.bob.pk).update(is_active=False)
        page = self.look(self.sofia, self.alice, self.conversation)
        assert list(page.context["offered"]) == [self.sofia]

    def test_nobody_else_hands_over(self):
        before = self.rows()
        for by, status in ((self.alice, 403), (self.bob, 404), (self.simon, 404)):
            answered = self.hand(by, self.alice, self.conversation, to=by.email)
            assert answered.status_code == status
        unknown = Conversation(pk=uuid4())
        answered = self.hand(self.sofia, self.alice, unknown, to="bob@example.com")
        assert answered.status_code == 404
        assert self.rows() == before
        assert not AuditEvent.objects.filter(action="conversation.reassigned").exists()
