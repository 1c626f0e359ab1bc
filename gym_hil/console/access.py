"""Who may talk to the console: the holder of the link's token, from the console's own page."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from http.cookies import SimpleCookie
from typing import Any

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Access:
    """The checks that every request has to pass.

    A browser sends requests to this machine for any page that asks it to. A foreign page does not know the token and
    does not get the cookie (SameSite); the name in `Host` shows a domain that was pointed at this machine after its
    page was loaded (DNS rebinding); `Origin` shows which page opened the WebSocket.

    Args:
        token: the secret.
        port: for the cookie's name: cookies of one machine are shared by all its ports.
        secure: whether TLS is used.
        remote: whether other machines may come, by the machine's names and by any numeric address.
    """

    def __init__(self, token: str, port: int, *, secure: bool, remote: bool):
        self._token, self._remote, self._secure = token, remote, secure
        self.cookie = f"gym_hil_{port}"
        self._names = LOOPBACK_NAMES
        if remote:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def cookie_header(self) -> str:
        """The value of `Set-Cookie`: out of reach for scripts, never sent for another site's page."""
        cookie: SimpleCookie = SimpleCookie()
        cookie[self.cookie] = self._token
        attributes: dict[str, Any] = {"path": "/", "httponly": True, "samesite": "Strict", "secure": self._secure}
        cookie[self.cookie].update(attributes)
        return cookie[self.cookie].OutputString()

    def knows_token(self, token: str | None) -> bool:
        """Whether this is the secret."""
        return token is not None and hmac.compare_digest(token.encode(), self._token.encode())

    def knows_host(self, host: str | None) -> bool:
        """Whether a `Host` header names this machine; the port may be another one, as through a tunnel."""
        name = host_name(host or "")
        # A numeric address cannot be rebound: only names can be made to point elsewhere.
        return name in self._names or (self._remote and _address(name) is not None)

    def is_own_page(self, origin: str | None, host: str | None) -> bool:
        """Whether an `Origin` header is that of the console's own page. A WebSocket of a browser always has one."""
        return origin is not None and origin == f"{'https' if self._secure else 'http'}://{host}"


def host_name(host: str) -> str:
    """The name in a `Host` header, without port and brackets, in lower case; empty if there is none."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens at `host`."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
