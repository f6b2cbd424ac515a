"""Limits, whom they count, and what happens when nobody can count."""

import time
from unittest import mock

import pytest
from django.core.cache import caches
from django.test import RequestFactory, SimpleTestCase, override_settings
from django.utils import translation
from redis.exceptions import ConnectionError, TimeoutError

from accounts.cache import MemoryCache, SteadyRedisCache
from accounts.errors import RateLimited, in_time
from accounts.throttling import acheck, check, client_ip, client_network

NOWHERE = {
    "default": {
        "BACKEND": "accounts.cache.SteadyRedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    }
}


def scope(*forwarded, client=("10.0.0.1", 5000)):
    headers = [(b"host", b"localhost")]
    headers += [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return {"type": "websocket", "client": client, "headers": headers}


def request(forwarded=None, peer="10.0.0.1"):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)


class CheckTests(SimpleTestCase):
    def test_it_refuses_what_is_over_the_rate(self):
        for _ in range(3):
            check("chat", "3/m", "alice")

        with pytest.raises(RateLimited) as refusal:
            check("chat", "3/m", "alice")

        assert refusal.value.status == 429
        assert refusal.value.code == "rate_limited"
        seconds = refusal.value.extra["retry_after"]
        assert 1 <= seconds <= 60
        assert str(seconds) in refusal.value.detail
        assert refusal.value.body["retry_after"] == seconds

    def test_it_counts_people_and_things_apart(self):
        check("chat", "1/m", "alice")

        check("chat", "1/m", "bob")
        check("upload", "1/m", "alice")

    def test_it_can_ask_without_counting(self):
        for _ in range(5):
            check("chat", "2/m", "alice", increment=False)
        check("chat", "2/m", "alice")
        check("chat", "2/m", "alice", increment=False)
        check("chat", "2/m", "alice")

        with pytest.raises(RateLimited):
            check("chat", "2/m", "alice", increment=False)

    def test_it_opens_again_when_its_time_is_over(self):
        check("chat", "1/5m", "alice")
        with pytest.raises(RateLimited) as refusal:
            check("chat", "1/5m", "alice")
        later = time.time() + refusal.value.extra["retry_after"] + 1
        with mock.patch("time.time", return_value=later):
            check("chat", "1/5m", "alice")

    async def test_it_counts_sync_and_async_callers_together(self):
        await acheck("chat", "1/m", "alice")

        with pytest.raises(RateLimited):
            await acheck("chat", "1/m", "alice")
        with pytest.raises(RateLimited):
            check("chat", "1/m", "alice")


class ClientIpTests(SimpleTestCase):
    def test_it_believes_no_header_without_a_proxy(self):
        for forwarded in (None, "1.2.3.4", "1.2.3.4, 5.6.7.8"):
            assert client_ip(request(forwarded)) == "10.0.0.1"
        assert client_ip(scope("1.2.3.4")) == "10.0.0.1"

    @override_settings(TRUSTED_PROXY_HOPS=1)
    def test_it_believes_what_its_own_proxy_wrote(self):
        assert client_ip(request("9.9.9.9")) == "9.9.9.9"
        assert client_ip(request("1.2.3.4, 9.9.9.9")) == "9.9.9.9"
        assert client_ip(scope("1.2.3.4, 9.9.9.9")) == "9.9.9.9"
        assert client_ip(scope("1.2.3.4", "9.9.9.9")) == "9.9.9.9"

    @override_settings(TRUSTED_PROXY_HOPS=2)
    def test_it_counts_proxies_from_the_right(self):
        forged = ", ".join(["1.2.3.4"] * 1000)

        assert client_ip(request(f"{forged}, 9.9.9.9, 172.16.0.1")) == "9.9.9.9"
        assert client_ip(scope(f"{forged}, 9.9.9.9, 172.16.0.1")) == "9.9.9.9"

    @override_settings(TRUSTED_PROXY_HOPS=2)
    def test_it_falls_back_to_the_peer_when_the_header_is_too_short(self):
        for forwarded in (None, "", "9.9.9.9"):
            assert client_ip(request(forwarded)) == "10.0.0.1"
        assert client_ip(scope()) == "10.0.0.1"

    @override_settings(TRUSTED_PROXY_HOPS=1)
    def test_it_reads_an_address_with_a_port(self):
        for forwarded, ip in (
            ("9.9.9.9:5678", "9.9.9.9"),
            ("1.2.3.4:1, 9.9.9.9:65535", "9.9.9.9"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[::ffff:9.9.9.9]:443", "9.9.9.9"),
            # Where the last group could be a port it is none.
            ("2001:db8::1:443", "2001:db8::1:443"),
        ):
            with self.subTest(forwarded):
                assert client_ip(request(forwarded)) == ip
                assert client_ip(scope(forwarded)) == ip

    @override_settings(TRUSTED_PROXY_HOPS=1)
    def test_it_reads_no_address_with_nonsense_behind_it(self):
        for forwarded in (
            "9.9.9.9:",
            "9.9.9.9:x",
            "9.9.9.9:80:80",
            "9.9.9.9:-1",
            "9.9.9.9:٣",
            "9.9.9.9:123456",
            "[9.9.9.9]:80",
            "[2001:db8::1]80",
            "[2001:db8::1",
            "[]:80",
            ":80",
            "host:80",
        ):
            with self.subTest(forwarded):
                assert client_ip(scope(forwarded)) == "10.0.0.1"

    @override_settings(TRUSTED_PROXY_HOPS=1)
    def test_it_falls_back_to_the_peer_when_the_header_is_no_address(self):
        for forwarded in ("unknown", "' OR 1=1", "<b>", "1.2.3.4,"):
            assert client_ip(request(forwarded)) == "10.0.0.1"

    def test_it_knows_peers_without_an_address(self):
        assert client_ip(request(peer="")) == ""
        assert client_ip(scope(client=None)) == ""

    def test_it_writes_an_address_in_one_way(self):
        assert client_ip(request(peer="::ffff:10.0.0.1")) == "10.0.0.1"
        assert client_ip(request(peer="fe80::1%eth0")) == "fe80::1"
        assert client_ip(request(peer="2001:DB8:0::1")) == "2001:db8::1"

    def test_it_counts_a_whole_ipv6_network_as_one_client(self):
        assert client_network(request(peer="2001:db8:1:2:3::9")) == "2001:db8:1:2::/64"
        assert client_network(request(peer="10.0.0.1")) == "10.0.0.1"


class RedisAwayTests(SimpleTestCase):
    def setUp(self):
        SteadyRedisCache.resting_until = 0
        self.addCleanup(setattr, SteadyRedisCache, "resting_until", 0)

    @override_settings(CACHES=NOWHERE)
    def test_it_goes_on_counting_in_memory(self):
        with self.assertLogs("tertulia.app", "ERROR") as logs:
            check("chat", "2/m", "alice")
            check("chat", "2/m", "alice")
            with pytest.raises(RateLimited):
                check("chat", "2/m", "alice")

        assert len(logs.records) == 1
        caches["default"].clear()

    @override_settings(CACHES=NOWHERE)
    async def test_it_does_not_stop_a_socket(self):
        with self.assertLogs("tertulia.app", "ERROR"):
            await acheck("chat", "2/m", "alice")
        caches["default"].clear()

    def test_it_waits_once_for_a_redis_that_hangs(self):
        redis = mock.Mock(**{"add.side_effect": TimeoutError})
        cache = SteadyRedisCache("redis://127.0.0.1:1/0", {})
        with (
            mock.patch.object(SteadyRedisCache, "_cache", redis),
            self.assertLogs("tertulia.app", "ERROR"),
        ):
            for number in range(5):
                assert cache.add(f"key-{number}", 1)

        assert redis.add.call_count == 1
        cache._memory.clear()

    @override_settings(CACHES=NOWHERE)
    def test_it_lets_pass_when_redis_goes_between_two_steps(self):
        with (
            mock.patch.object(SteadyRedisCache, "add", return_value=False),
            mock.patch.object(SteadyRedisCache, "incr", side_effect=ValueError),
        ):
            check("chat", "1/m", "alice")

    def test_it_comes_back_to_redis(self):
        redis = mock.Mock(**{"get.side_effect": [ConnectionError, "from redis"]})
        cache = SteadyRedisCache("redis://127.0.0.1:1/0", {})
        with mock.patch.object(SteadyRedisCache, "_cache", redis):
            with self.assertLogs("tertulia.app", "ERROR"):
                assert cache.get("a", "from memory") == "from memory"
            assert cache.get("a", "from memory") == "from memory"
            SteadyRedisCache.resting_until = 0
            assert cache.get("a", "from memory") == "from redis"


class MemoryTests(SimpleTestCase):
    def setUp(self):
        self.cache = MemoryCache("memory-tests", {})
        self.cache.clear()
        self.addCleanup(self.cache.clear)

    def test_strangers_push_no_count_out(self):
        self.cache.set("wrong-passwords", 5, 300)
        for number in range(5_000):
            self.cache.add(f"stranger-{number}", 1, 60)
        assert self.cache.get("wrong-passwords") == 5

    def test_what_is_over_goes_first(self):
        with mock.patch.object(MemoryCache, "ENTRIES", 30):
            cache = MemoryCache("memory-tests", {})
            cache.set("kept", 1, 300)
            for number in range(40):
                cache.set(f"over-{number}", 1, 0.001)
                time.sleep(0.0011)
            assert cache.get("kept") == 1
            assert len(cache._cache) <= 30

    def test_then_what_was_not_asked_for_longest(self):
        with mock.patch.object(MemoryCache, "ENTRIES", 30):
            cache = MemoryCache("memory-tests", {})
            cache.set("asked-for", 1, 300)
            for number in range(100):
                cache.set(f"stranger-{number}", 1, 300)
                cache.incr("asked-for")
            assert cache.get("asked-for") == 101
            assert len(cache._cache) <= 31

    def test_it_is_used_where_there_is_no_redis_and_while_it_is_away(self):
        redis = SteadyRedisCache("redis://127.0.0.1:1/0", {})
        assert isinstance(redis._memory, MemoryCache)


class WordsTests(SimpleTestCase):
    def test_it_says_when_in_the_unit_people_use(self):
        for seconds, said in (
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (121, "3 minutes"),
            (900, "15 minutes"),
            (7140, "119 minutes"),
            (7141, "2 hours"),
            (80_000, "23 hours"),
        ):
            assert in_time(seconds) == said
            refusal = RateLimited(seconds)
            assert refusal.detail == f"Too many requests; try again in {said}."
            assert refusal.body["retry_after"] == seconds
        with translation.override("es"):
            assert "inténtalo de nuevo en 2 horas" in RateLimited(7200).detail
