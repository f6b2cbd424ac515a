"""The pages of the first run, as somebody without any script walks through them."""

from functools import partial
from threading import Barrier
from unittest import mock

from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.db import IntegrityError
from django.test import Client, TestCase, TransactionTestCase, override_settings

from accounts.models import AuditEvent, User
from accounts.setup import setup_link
from accounts.tests.factories import PASSWORD, ada, alice, sofia
from accounts.tests.races import at_once
from characters.seeding import seed
from config import first_run
from llm import catalog, choosing
from llm.errors import ProviderError
from llm.models import LanguageModel
from llm.testing import scripted
from llm.tests.faulty_server import FaultyServer

NOBODY = "http://127.0.0.1:9"
PAGES = ("/setup/second-factor", "/setup/model", "/setup/ready")

unconnected = override_settings(
    LLM_PROVIDER="auto", OLLAMA_HOST=NOBODY, OPENAI_API_KEY="", OPENAI_BASE_URL=""
)


@unconnected
class FirstRunTestCase(TestCase):
    def setUp(self) -> None:
        catalog.forget()
        self.addCleanup(catalog.forget)
        self.admin = ada()
        self.client.force_login(self.admin)

    def connect(self) -> None:
        """Start a server that speaks OpenAI's API and offers one model."""
        server = self.enterContext(FaultyServer())
        self.enterContext(override_settings(OPENAI_BASE_URL=f"{server.url}/v1"))

    def choose(self, model: str, button: str = "choose"):
        return self.client.post("/setup/model", {"model": model, button: ""})


class AccessTests(FirstRunTestCase):
    def test_it_is_for_administrators(self):
        for number, make in enumerate((alice, sofia)):
            client = Client()
            client.force_login(make())
            for page in PAGES:
                with self.subTest(page=page, number=number):
                    assert client.get(page).status_code == 404
            assert client.post("/setup/model", {"leave": ""}).status_code == 404
        assert not first_run.is_over()

    def test_it_asks_strangers_to_sign_in(self):
        for page in PAGES:
            answer = Client().get(page)
            self.assertRedirects(answer, f"/accounts/login/?next={page}")
        Client().post("/setup/model", {"leave": ""})
        assert not first_run.is_over()

    def test_it_leads_to_the_step_that_is_next(self):
        self.assertRedirects(self.client.get("/setup/ready"), "/setup/model")

    def test_once_it_is_over_every_step_leads_to_its_end(self):
        LanguageModel.objects.create(
            label="A", provider="demo", name="a"
        ).make_default()

        for page in PAGES[:2]:
            self.assertRedirects(self.client.get(page), "/setup/ready")
        self.assertRedirects(self.choose("demo/demo"), "/setup/ready")
        assert LanguageModel.objects.get(is_default=True).name == "a"


class StepTests(FirstRunTestCase):
    def test_it_offers_a_second_factor_and_later(self):
        page = self.client.get("/setup/second-factor")

        self.assertContains(page, "/accounts/2fa/totp/activate/")
        self.assertContains(page, 'href="/setup/model"')

    @override_settings(MFA_REQUIRED_ROLES=["admin"])
    def test_it_offers_no_later_where_a_second_factor_is_required(self):
        page = self.client.get("/setup/second-factor")

        self.assertContains(page, 'href="/accounts/2fa/totp/activate/"')
        self.assertContains(page, 'href="/accounts/2fa/webauthn/add/"')
        self.assertNotContains(page, "/setup/model")

    def test_it_knows_a_second_factor_that_is_on(self):
        TOTP.activate(self.admin, generate_totp_secret())

        page = self.client.get("/setup/second-factor")

        self.assertNotContains(page, "/accounts/2fa/totp/activate/")
        self.assertContains(page, "is on")

    def test_every_other_page_shows_the_way_back_until_it_is_over(self):
        self.client.logout()
        User.objects.all().delete()
        path = setup_link("http://testserver").removeprefix("http://testserver")
        self.client.post(path, {"email": "ada@example.com", "password": PASSWORD})
        self.assertContains(self.client.get("/"), 'href="/setup/model"')
        self.assertNotContains(self.client.get("/setup/model"), "not finished")

        self.client.post("/setup/model", {"leave": ""}, follow=True)

        self.assertNotContains(self.client.get("/"), "/setup/model")

    def test_it_says_what_answers_and_which_variables_connect_a_model(self):
        page = self.client.get("/setup/model")

        for words in ("demo/demo", NOBODY, "OLLAMA_HOST", "OPENAI_API_KEY"):
            self.assertContains(page, words)
        self.assertNotContains(page, 'type="password"')

    def test_it_lists_the_models_of_what_is_connected(self):
        self.connect()

        page = self.client.get("/setup/model")

        self.assertContains(page, '<option value="openai/ok"', count=1)
        assert page.context["form"].initial == {"model": "openai/ok"}
        # What answers by itself is OPENAI_MODEL, which that server does not have.
        self.assertContains(page, "It is not among the models listed")

    def test_it_tries_a_model_and_chooses_nothing(self):
        self.connect()

        with scripted("Hello ", "<b>there</b>.") as script:
            page = self.choose("openai/ok", "try")

        self.assertContains(page, "openai/ok")
        self.assertContains(page, "Hello")
        self.assertNotContains(page, "<b>there")
        assert len(script.requests) == 1
        assert not first_run.is_over()

    def test_it_says_why_a_model_does_not_answer(self):
        self.connect()
        secret = "secret words of the provider"

        with scripted(fail_with=ProviderError("provider_auth", secret)):
            page = self.choose("openai/ok", "try")

        self.assertContains(page, "provider_auth")
        self.assertContains(page, "refused the key")
        self.assertNotContains(page, secret)

    def test_the_chosen_model_answers_from_then_on(self):
        self.connect()

        answer = self.choose("openai/ok")

        self.assertRedirects(answer, "/setup/ready")
        self.assertContains(self.client.get("/setup/ready"), "openai/ok")
        event = AuditEvent.objects.get(action="model.made_default")
        assert event.actor == self.admin
        assert event.object_id == str(LanguageModel.objects.get(is_default=True).pk)

    def test_it_refuses_a_model_that_nobody_offers(self):
        for model in ("openai/ok", "elsewhere/x", "demo", "", "demo/../x"):
            with self.subTest(model):
                answer = self.choose(model)
                assert answer.status_code == 422
                assert "model" in answer.context["form"].errors
        assert not LanguageModel.objects.exists()

    def test_left_as_it_is_nothing_is_chosen_and_it_does_not_ask_again(self):
        answer = self.client.post("/setup/model", {"leave": ""})

        self.assertRedirects(answer, "/setup/ready")
        self.assertRedirects(self.client.get("/setup/model"), "/setup/ready")
        assert not LanguageModel.objects.exists()
        assert AuditEvent.objects.get(action=first_run.LEFT).actor == self.admin

    def test_it_ends_where_the_first_conversation_begins(self):
        seed()
        self.choose("demo/demo")

        page = self.client.get("/setup/ready")
        assert page.context["character"].slug == "assistant"
        answer = self.client.post("/characters/assistant/start")

        assert page.status_code == 200
        self.assertContains(page, 'action="/characters/assistant/start"')
        assert answer["Location"].startswith("/c/")

    def test_it_ends_well_without_a_character(self):
        self.choose("demo/demo")

        assert self.client.get("/setup/ready").status_code == 200


@unconnected
class FirstRunRaceTests(TransactionTestCase):
    def test_a_button_pressed_twice_chooses_one_model(self):
        self.addCleanup(catalog.forget)
        admin = ada()
        clients = [Client() for _ in range(4)]
        for client in clients:
            client.force_login(admin)

        barrier, choose = Barrier(len(clients)), choosing.choose

        def choose_together(*model):
            barrier.wait(10)
            return choose(*model)

        with mock.patch.object(choosing, "choose", choose_together):
            answers = at_once(
                [
                    partial(client.post, "/setup/model", {"model": "demo/demo"})
                    for client in clients
                ]
            )

        assert {answer["Location"] for answer in answers} == {"/setup/ready"}
        assert LanguageModel.objects.filter(is_default=True).count() == 1

    def test_of_several_choices_one_is_the_default(self):
        self.addCleanup(catalog.forget)
        for _ in range(5):
            LanguageModel.objects.all().delete()

            results = at_once(
                [partial(choosing.choose, "ollama", f"m{n % 2}") for n in range(4)]
            )

            assert LanguageModel.objects.filter(is_default=True).count() == 1
            assert all(isinstance(r, LanguageModel | IntegrityError) for r in results)
