"""How often somebody may do something: one count for every transport.

Counts in the cache through django-ratelimit, in fixed windows. Knows no request: a key
is any string, and `client_network` makes one of a request or an ASGI scope.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from django_ratelimit.core import get_usage

from accounts.errors import RateLimited

_WITH_PORT = re.compile(
    r"([0-9.]+):[0-9]{1,5}|\[([0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\](?::[0-9]{1,5})?"
)


def check(group: str, rate: str, key: str, *, increment: bool = True) -> None:
    """Count one use of `group` by `key` and raise RateLimited above `rate`.

    `rate` is written as in django-ratelimit: "30/m", "5/5m". With `increment=False`
    nothing is counted, and RateLimited says that the next use would be one too many.
    """
    usage = get_usage(
        None,
        group=group,
        key=lambda _group, _request: key,
        rate=rate,
        increment=increment,
    )
    # None: the limits are switched off, or nobody could count (see accounts/cache.py).
    if usage is None:
        return
    used_up = usage["count"] + (not increment) > usage["limit"]
    if used_up:
        raise RateLimited(retry_after=max(1, usage["time_left"]))


async def acheck(group: str, rate: str, key: str, *, increment: bool = True) -> None:
    """Do as `check` does, leaving the event loop only for a cache on the network."""
    if isinstance(caches["default"], LocMemCache):
        check(group, rate, key, increment=increment)
    else:
        await sync_to_async(check, thread_sensitive=False)(
            group, rate, key, increment=increment
        )


def client_ip(source: HttpRequest | Mapping[str, Any]) -> str:
    """Return the address a request or an ASGI scope came from, or "".

    With TRUSTED_PROXY_HOPS=n it is the n-th from the right of X-Forwarded-For: what
    stands left of it was written by the client itself.
    """
    peer, forwarded = _addresses(source)
    hops = settings.TRUSTED_PROXY_HOPS
    if hops and len(forwarded) >= hops:
        return _valid(_without_port(forwarded[-hops])) or _valid(peer)
    return _valid(peer)


def client_network(source: HttpRequest | Mapping[str, Any]) -> str:
    """Return the key to count a client by: its address, or its /64 in IPv6."""
    ip = client_ip(source)
    if ":" in ip:
        return str(ipaddress.ip_network(f"{ip}/64", strict=False))
    return ip


def _addresses(source: HttpRequest | Mapping[str, Any]) -> tuple[str, list[str]]:
    if isinstance(source, Mapping):
        peer = (source.get("client") or [""])[0]
        lines = [
            value.decode("latin-1")
            for name, value in source.get("headers", ())
            if name == b"x-forwarded-for"
        ]
    else:
        peer = source.META.get("REMOTE_ADDR", "")
        lines = [source.META.get("HTTP_X_FORWARDED_FOR", "")]
    forwarded = ",".join(line for line in lines if line)
    return peer or "", forwarded.split(",") if forwarded else []


def _without_port(address: str) -> str:
    # As some proxies write it; an address of IPv6 has brackets then.
    found = _WITH_PORT.fullmatch(address.strip())
    return found[1] or found[2] if found else address


def _valid(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.strip())
    except ValueError:
        return ""
    # A scope (%eth0) means nothing outside that machine, and no column takes it.
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.IPv6Address(int(ip)))
    return str(ip)
