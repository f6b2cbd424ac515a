"""Tokens of another service: which are accepted, and whom they let in."""

import base64
import hmac
import json
import time
from functools import partial
from unittest import mock

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import TestCase, TransactionTestCase, override_settings

from accounts.authentication import issuers
from accounts.models import AuditEvent, ExternalIdentity, User
from accounts.tests.cases import ME
from accounts.tests.factories import ada, alice, auth, bob
from accounts.tests.key_server import (
    ISSUER,
    SHARED,
    KeyServer,
    SigningKey,
    claims,
    issuer,
)
from accounts.tests.races import at_once


def shared(key=SHARED, algorithm="HS256", header=None, **changes):
    payload = json.dumps(claims(**changes)).encode()
    return jwt.PyJWS().encode(payload, key, algorithm, headers=header)


def forged(key, **header):
    """Sign with HMAC-SHA256 whatever the header says, as no library would."""
    parts = (json.dumps(part).encode() for part in (header, claims()))
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = hmac.digest(key, signed, "sha256")
    return b".".join([signed, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


class TokenTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = alice()

    def answer(self, token):
        return self.client.get(ME, HTTP_AUTHORIZATION=f"Bearer {token}")

    def email(self, token):
        """Return whom the token lets in, or None."""
        answer = self.answer(token)
        assert answer.status_code in (200, 401), answer.content
        return answer.json().get("email")


class OffTests(TokenTestCase):
    def test_it_accepts_nobody_by_default(self):
        assert self.email(shared()) is None


@override_settings(JWT_ISSUERS=[issuer()])
class SharedKeyTests(TokenTestCase):
    def test_it_accepts_a_token_of_the_other_service(self):
        assert self.email(shared()) == "alice@example.com"

    def test_it_goes_on_accepting_our_own(self):
        assert self.client.get(ME, **auth(self.alice)).status_code == 200

    def test_it_needs_issuer_audience_and_expiry(self):
        now = int(time.time())
        for changes in (
            {"iss": "https://other.example"},
            {"iss": None},
            {"iss": [ISSUER]},
            {"aud": "another"},
            {"aud": ["another"]},
            {"aud": None},
            {"aud": {"tertulia": 1}},
            {"exp": None},
            {"exp": now - 60},
            {"exp": "soon"},
            {"exp": 10**30},
            {"exp": float("inf")},
            {"nbf": now + 60},
            {"iat": now + 60},
            {"token_type": "refresh"},
            {"user_id": None},
            {"user_id": True},
            {"user_id": ["a"]},
            {"user_id": "a\0b"},
            {"user_id": "a" * 256},
            {"user_id": ""},
        ):
            with self.subTest(changes):
                assert self.email(shared(**changes)) is None

    def test_it_refuses_times_that_are_none(self):
        now = int(time.time())
        absurd = [10**18, 10**30, 10**400, -1, -(10**18), -1e300, 1e300, True, False]
        absurd += [float("inf"), float("-inf"), float("nan"), [], {}, [now], "", "soon"]
        absurd += [str(now - 60), str(now + 600), f"{now}.5", "1" * 5000, "\ud800"]
        with self.assertNoLogs("django.request", "ERROR"):
            for name in ("exp", "nbf", "iat"):
                for value in absurd:
                    with self.subTest(name, value=ascii(value)[:40]):
                        assert self.email(shared(**{name: value})) is None

    def test_it_takes_times_with_a_fraction(self):
        now = time.time()

        assert self.email(shared(exp=now + 60.5, nbf=now - 0.5, iat=now - 0.5))
        assert self.email(shared(exp=253_000_000_000))

    def test_it_forgives_clocks_that_differ_by_seconds(self):
        now = int(time.time())

        assert self.email(shared(exp=now - issuers.LEEWAY + 3))
        assert self.email(shared(nbf=now + issuers.LEEWAY - 3))

    def test_it_accepts_one_of_several_audiences(self):
        assert self.email(shared(aud=["dashboard", "tertulia"]))

    def test_it_pins_the_key_and_the_algorithm(self):
        assert self.email(shared(key=None, algorithm="none")) is None
        assert self.email(shared(algorithm="HS384")) is None
        assert (
            self.email(shared(key="another secret of the same length, or so")) is None
        )
        header, payload, signature = shared().split(".")
        assert self.email(f"{header}.{payload}.") is None
        assert self.email(f"{header}.{payload}.{signature[::-1]}") is None

    def test_it_follows_no_key_that_a_token_brings(self):
        mine = SigningKey("mine")
        with KeyServer(mine) as server:
            for header in ({"jku": server.url}, {"jwk": mine.public}):
                with self.subTest(header):
                    assert self.email(mine.sign(claims(), **header)) is None
        assert server.asked == 0

    def test_it_knows_nonsense(self):
        deep = base64.urlsafe_b64encode(b'{"iss":' + b"[" * 4000).decode()
        with self.assertNoLogs("django.request", "ERROR"):
            for token in (
                f"e30.{deep}.",
                f"{deep}.e30.",
                shared(filler="x" * 10_000),
                "x" * 1_000_000,
                "e30.bnVsbA.",
            ):
                with self.subTest(token[:20]):
                    assert self.email(token) is None

    def test_it_costs_one_query(self):
        self.email(shared())

        with self.assertNumQueries(1):
            self.email(shared())


class UserTests(TokenTestCase):
    def test_it_matches_the_email_once_and_then_knows_the_subject(self):
        with override_settings(JWT_ISSUERS=[issuer()]):
            assert self.email(shared(email="ALICE@Example.com"))
            identity = ExternalIdentity.objects.get()
            assert (identity.issuer, identity.subject) == (ISSUER, "7")
            assert identity.user == self.alice

            assert self.email(shared(email="renamed@example.com"))

        event = AuditEvent.objects.get(action="identity.linked")
        assert event.object_id == str(self.alice.pk)

    @override_settings(JWT_ISSUERS=[issuer()])
    def test_it_matches_no_email_that_is_unknown_or_unverified(self):
        for changes in (
            {"email": "nobody@example.com"},
            {"email": None},
            {"email": 5},
            {"email": "a\0b"},
            {"email_verified": False},
            {"email_verified": "true"},
        ):
            with self.subTest(changes):
                assert self.email(shared(**changes)) is None
        assert not ExternalIdentity.objects.exists()
        assert self.email(shared(email_verified=True))

    @override_settings(JWT_ISSUERS=[issuer(claim="sub")])
    def test_it_knows_only_whom_the_operator_entered(self):
        assert self.email(shared(sub="anna")) is None

        ExternalIdentity.objects.create(user=self.alice, issuer=ISSUER, subject="anna")

        assert self.email(shared(sub="anna", user_id=None)) == "alice@example.com"

    @override_settings(JWT_ISSUERS=[issuer(claim="sub")])
    def test_the_operator_enters_and_removes_identities_in_the_admin(self):
        self.client.force_login(ada())
        place = "/admin/accounts/externalidentity/"
        entered = {"user": str(self.alice.pk), "issuer": ISSUER, "subject": "anna"}

        assert self.client.post(f"{place}add/", entered).status_code == 302
        assert self.email(shared(sub="anna")) == "alice@example.com"
        known = ExternalIdentity.objects.get()
        self.client.post(f"{place}{known.pk}/delete/", {"post": "yes"})

        assert self.email(shared(sub="anna")) is None
        actions = AuditEvent.objects.filter(object_id=str(self.alice.pk))
        assert set(actions.values_list("action", flat=True)) == {
            "identity.linked",
            "identity.unlinked",
        }

    @override_settings(JWT_ISSUERS=[issuer()])
    def test_an_identity_the_operator_removed_does_not_link_itself_again(self):
        assert self.email(shared())
        known = ExternalIdentity.objects.get()
        visitor = issuers.visitor(issuers.verified(shared()))
        self.client.force_login(ada())
        delete = f"/admin/accounts/externalidentity/{known.pk}/delete/"

        page = self.client.post(delete, {"post": "yes"}, follow=True)

        self.assertContains(page, "refused from now on")
        self.assertContains(page, "icon-yes")
        for _ in range(2):
            assert self.email(shared()) is None
        assert issuers.live_visits([visitor[1]]) == set()

        page = self.client.post(delete, {"post": "yes"}, follow=True)

        self.assertContains(page, "forgotten")
        assert self.email(shared()) == "alice@example.com"
        # By the rule about e-mails, anew.
        assert ExternalIdentity.objects.get().pk != known.pk

    @override_settings(JWT_ISSUERS=[issuer()])
    def test_several_are_refused_and_let_in_again_at_once(self):
        self.email(shared())
        known = ExternalIdentity.objects.get()
        self.client.force_login(ada())
        place = "/admin/accounts/externalidentity/"
        chosen = {"_selected_action": [known.pk]}

        self.client.post(place, chosen | {"action": "delete_selected", "post": "yes"})
        assert self.email(shared())
        for _ in range(2):
            self.client.post(place, chosen | {"action": "refuse"})
            assert self.email(shared()) is None
        for _ in range(2):
            self.client.post(place, chosen | {"action": "admit"})
            assert self.email(shared())

        events = AuditEvent.objects.filter(action__startswith="identity.")
        assert list(events.order_by("at").values_list("action", flat=True)) == [
            "identity.linked",
            "identity.unlinked",
            "identity.linked",
        ]

    @override_settings(JWT_ISSUERS=[issuer(user="create")])
    def test_it_makes_a_worker_without_a_password(self):
        token = shared(email="Anna@example.com", name="Anna", role="admin", is_staff=1)

        assert self.email(token) == "anna@example.com"

        anna = User.objects.get(email="anna@example.com")
        assert anna.role == User.Role.WORKER
        assert not anna.has_usable_password()
        assert anna.profile.display_name == "Anna"
        self.email(shared())
        assert User.objects.count() == 2

    @override_settings(JWT_ISSUERS=[issuer(user="create")])
    def test_it_takes_no_account_over(self):
        assert self.email(shared(email="alice@example.com")) is None
        assert not ExternalIdentity.objects.exists()

    @override_settings(JWT_ISSUERS=[issuer(user="create")])
    def test_it_makes_nobody_without_a_usable_email(self):
        for email in (None, "", "anna", f"{'a' * 250}@example.com", "a b@example.com"):
            with self.subTest(email):
                assert self.email(shared(email=email)) is None
        assert User.objects.count() == 1

    @override_settings(JWT_ISSUERS=[issuer(user="create", claim="sub")])
    def test_it_makes_people_of_services_that_tell_no_email(self):
        email = self.email(shared(email=None))

        assert email.endswith("@external.invalid")
        assert self.email(shared(email=None)) == email
        assert self.email(shared(email=None, user_id=8)) != email

    @override_settings(JWT_ISSUERS=[issuer()])
    def test_it_keeps_deactivated_and_leaving_people_out(self):
        assert self.email(shared())
        for change in ({"is_active": False}, {"delete_at": "2030-01-01T00:00:00Z"}):
            with self.subTest(change):
                User.objects.update(**{"is_active": True, "delete_at": None} | change)
                assert self.email(shared()) is None

    def test_it_folds_no_address_into_another(self):
        for email in (
            "ａlice@example.com",
            "alice@ｅxample.com",
            "alice@example\N{IDEOGRAPHIC FULL STOP}com",
            " alice@example.com",
            "alice@example.com\N{NO-BREAK SPACE}",
        ):
            for user in ("match", "create"):
                with (
                    self.subTest(ascii(email), user=user),
                    override_settings(JWT_ISSUERS=[issuer(user=user)]),
                ):
                    assert self.email(shared(email=email)) is None
        assert User.objects.count() == 1
        assert not ExternalIdentity.objects.exists()

    @override_settings(JWT_ISSUERS=[issuer()])
    def test_it_never_acts_for_an_administrator(self):
        ada()
        assert self.email(shared(email="ada@example.com", user_id=1)) is None
        assert not ExternalIdentity.objects.exists()

        assert self.email(shared())
        User.objects.filter(pk=self.alice.pk).update(role=User.Role.ADMIN)

        assert self.email(shared()) is None

    @override_settings(
        JWT_ISSUERS=[issuer(), issuer(issuer="https://b.example", key=SHARED * 2)]
    )
    def test_it_tells_issuers_apart(self):
        bob()
        assert self.email(shared()) == "alice@example.com"

        other = {"iss": "https://b.example", "email": "bob@example.com"}

        assert self.email(shared(key=SHARED * 2, **other)) == "bob@example.com"
        assert self.email(shared(**other)) is None

    @override_settings(JWT_ISSUERS=[issuer()])
    def test_it_gives_no_ticket_and_no_refresh(self):
        for address, code in (
            ("ws-ticket", "no_session"),
            ("refresh", "invalid_token"),
        ):
            answer = self.client.post(
                f"/api/v1/auth/{address}",
                {"refresh_token": shared(token_type="refresh")},
                content_type="application/json",
                HTTP_AUTHORIZATION=f"Bearer {shared()}",
            )
            assert answer.json()["code"] == code


class PublishedKeyTests(TokenTestCase):
    def setUp(self):
        self.key, self.curve = SigningKey("one"), SigningKey("two", "ES256")
        self.server = KeyServer(self.key, self.curve)
        self.enterContext(self.server)
        self.enterContext(
            override_settings(JWT_ISSUERS=[issuer(jwks_url=self.server.url)])
        )

    def later(self, seconds):
        """Let the clock of the kept keys run ahead."""
        return mock.patch("time.monotonic", return_value=time.monotonic() + seconds)

    def test_it_accepts_what_either_key_signed(self):
        assert self.email(self.key.sign(claims())) == "alice@example.com"
        assert self.email(self.curve.sign(claims())) == "alice@example.com"
        assert self.server.asked == 1

    def test_it_confuses_no_public_key_with_a_secret(self):
        pem = self.key.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
        for key in (pem, json.dumps(self.key.public).encode()):
            for algorithm in ("HS256", "RS256"):
                with self.subTest(algorithm):
                    assert self.email(forged(key, alg=algorithm, kid="one")) is None
        assert self.email(self.curve.sign(claims(), kid="one")) is None
        assert self.email(self.key.sign(claims(), kid="two")) is None

    def test_it_uses_no_secret_that_stands_among_the_keys(self):
        secret = b"published by mistake: all can read it"
        encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
        self.server.keys.append({"kty": "oct", "kid": "oops", "k": encoded})

        for algorithm in ("HS256", "RS256"):
            with self.subTest(algorithm):
                assert self.email(forged(secret, alg=algorithm, kid="oops")) is None

    def test_it_needs_a_key_that_is_named(self):
        unnamed = jwt.encode(claims(), self.key.private, "RS256")

        assert self.email(unnamed) is None
        assert self.email(self.key.sign(claims(), kid="three")) is None

    def test_it_follows_a_rotation(self):
        assert self.email(self.key.sign(claims()))
        new = SigningKey("three")
        self.server.keys = [new.public]

        with self.later(issuers.KEYS_ASKED_EVERY + 1):
            assert self.email(new.sign(claims()))
            assert self.email(self.key.sign(claims())) is None

    def test_it_asks_once_for_many_unknown_keys(self):
        for number in range(50):
            self.email(self.key.sign(claims(), kid=f"unknown {number}"))

        assert self.server.asked == 1

    def test_it_says_in_the_log_why_a_server_of_keys_fails(self):
        faults = ({"status": 500}, {"body": b"<html>"}, {"body": b"[]"})
        for number, fault in enumerate(faults):
            with (
                self.subTest(fault),
                mock.patch.multiple(self.server, **fault),
                override_settings(
                    JWT_ISSUERS=[issuer(jwks_url=f"{self.server.url}?{number}")]
                ),
            ):
                with self.assertLogs("tertulia.auth", "ERROR") as logs:
                    assert self.email(self.key.sign(claims())) is None
                assert self.server.url in logs.records[0].url

    def test_it_leaves_a_server_that_fails_alone_for_a_while(self):
        with mock.patch.object(self.server, "status", 500):
            for _ in range(20):
                assert self.email(self.key.sign(claims())) is None
        assert self.server.asked == 1

        with self.later(issuers.REST + 1):
            assert self.email(self.key.sign(claims()))

    def test_it_keeps_good_keys_while_the_server_is_away(self):
        assert self.email(self.key.sign(claims()))

        with (
            mock.patch.object(self.server, "status", 500),
            self.later(issuers.KEYS_ASKED_EVERY + 1),
        ):
            assert self.email(self.key.sign(claims(), kid="unknown")) is None
            assert self.email(self.key.sign(claims()))

    @mock.patch("accounts.authentication.issuers.KEYS_WITHIN", 0.3)
    def test_it_waits_for_no_server_that_hangs_or_trickles(self):
        for fault in ({"delay": 3.0}, {"trickle": True}):
            url = f"{self.server.url}?{fault}"
            began = time.monotonic()
            with (
                mock.patch.multiple(self.server, **fault),
                override_settings(JWT_ISSUERS=[issuer(jwks_url=url.replace(" ", ""))]),
            ):
                assert self.email(self.key.sign(claims())) is None
            assert time.monotonic() - began < 1.5

    def test_it_waits_for_nobody_who_is_not_there(self):
        self.server.__exit__()
        self.server.__exit__ = lambda *_: None

        began = time.monotonic()
        assert self.email(self.key.sign(claims())) is None
        assert time.monotonic() - began < 2


class RaceTests(TransactionTestCase):
    def test_it_makes_one_person_of_many_first_visits(self):
        with override_settings(JWT_ISSUERS=[issuer(user="create")]):
            answers = at_once(
                [
                    partial(
                        self.client_class().get,
                        ME,
                        headers={"Authorization": f"Bearer {shared()}"},
                    )
                    for _ in range(8)
                ]
            )

        assert [answer.status_code for answer in answers] == [200] * 8
        assert User.objects.count() == ExternalIdentity.objects.count() == 1

    def test_it_asks_a_hanging_server_once_for_many_at_once(self):
        key = SigningKey("one")
        with KeyServer(key) as server:
            server.delay = 2.0
            began = time.monotonic()
            with (
                mock.patch("accounts.authentication.issuers.KEYS_WITHIN", 0.5),
                override_settings(JWT_ISSUERS=[issuer(jwks_url=server.url)]),
            ):
                results = at_once([partial(issuers.verified, key.sign(claims()))] * 12)

        assert results == [None] * 12
        assert server.asked == 1
        assert time.monotonic() - began < 4
