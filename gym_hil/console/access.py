"""Who may use a page: the holder of the link's token, from the page itself."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
import zlib
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit


class Access:
    """The checks that every request has to pass.

    A browser sends requests to this machine for any page that asks it to. A foreign page does not know the token and
    does not get the cookie (SameSite); the name in `Host` shows a domain that was pointed at this machine after its
    page was loaded (DNS rebinding); `Origin` shows which page opened the WebSocket.

    `secure` says whether TLS is used, `remote` whether other machines may connect, by this machine's names and by any
    numeric address; of a `public_url`, where a reverse proxy serves the page, name and origin are accepted, too.
    """

    def __init__(self, token: str, *, secure: bool, remote: bool, public_url: str | None = None):
        self._token, self._remote, self._secure = token, remote, secure
        self._names = {"localhost"}
        if remote:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._public_origin: str | None = None
        self._public_tls = False
        self._public_name: str | None = None
        if public_url is not None:
            parts = urlsplit(public_url)
            self._names.add(host_name(parts.netloc))
            self._public_origin = _origin(parts.scheme, parts.netloc)
            self._public_tls = parts.scheme == "https"
            self._public_name = f"{zlib.crc32(public_url.encode()):08x}"

    def cookie_name(self, host: str | None) -> str:
        """The cookie's name. Consoles at other ports and paths of a host share its cookies, so each has a name."""
        port = re.search(r":(\d+)$", host or "")
        return f"gym_hil_{self._public_name or (port[1] if port else 'console')}"

    def cookie_header(self, host: str | None) -> str:
        """The value of `Set-Cookie`: out of reach for scripts, never sent for another site's page.

        Without a path it is for the folder of the link, also behind a proxy that serves the console in a folder.
        """
        cookie: SimpleCookie = SimpleCookie()
        name = self.cookie_name(host)
        cookie[name] = self._token
        attributes: dict[str, Any] = {
            "httponly": True,
            "samesite": "Strict",
            "secure": self._secure or self._public_tls,
        }
        cookie[name].update(attributes)
        return cookie[name].OutputString()

    def knows_token(self, token: str | None) -> bool:
        """Whether this is the secret."""
        return token is not None and hmac.compare_digest(token.encode(), self._token.encode())

    def knows_host(self, host: str | None) -> bool:
        """Whether a `Host` header names this machine; the port may be another one, as through a tunnel."""
        name = host_name(host or "")
        address = _address(name)
        # A numeric address cannot be rebound: only names can be made to point elsewhere.
        return name in self._names or (address is not None and (self._remote or address.is_loopback))

    def is_own_page(self, origin: str | None, host: str | None) -> bool:
        """Whether an `Origin` header is that of the page itself. A WebSocket of a browser always has one."""
        own = {f"{'https' if self._secure else 'http'}://{host}", self._public_origin}
        return origin is not None and origin in own


def host_name(host: str) -> str:
    """The name in a `Host` header, without port and brackets, in lower case; empty if there is none."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens at `host`."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _origin(scheme: str, netloc: str) -> str:
    """What a browser sends as `Origin` for a page there: without the port where it is the scheme's own."""
    own_port = {"http": ":80", "https": ":443"}[scheme]
    return f"{scheme}://{netloc.lower().removesuffix(own_port)}"


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
