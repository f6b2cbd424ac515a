"""Keeps tests on this machine: what connects elsewhere fails and says where to."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any
from unittest import mock

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo

LOCAL_NAMES = {None, "", "localhost", socket.gethostname()}


class LeftLoopback(AssertionError):
    """A test tried to reach another machine."""


def is_local(host: Any) -> bool:
    """Whether `host` names or is an address of the loopback interface."""
    host = host.decode() if isinstance(host, bytes) else host
    if host in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _check(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
        raise LeftLoopback(f"A test may not connect to {address[0]}.")


@contextlib.contextmanager
def refusing_foreign_connections() -> Iterator[None]:
    """Refuse, in this process, every connection and look-up that leaves loopback."""

    def connect(self: socket.socket, address: Any) -> None:
        _check(self.family, address)
        return _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _check(self.family, address)
        return _connect_ex(self, address)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_local(host):
            raise LeftLoopback(f"A test may not look up {host}.")
        return _getaddrinfo(host, *args, **kwargs)

    with (
        mock.patch.object(socket.socket, "connect", connect),
        mock.patch.object(socket.socket, "connect_ex", connect_ex),
        mock.patch.object(socket, "getaddrinfo", getaddrinfo),
    ):
        yield
