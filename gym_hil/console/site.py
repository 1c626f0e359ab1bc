"""A web server beside the program, for one operator: one link with a secret token, in a daemon thread."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import secrets
import socket
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from gym_hil.console.access import Access, is_loopback
from gym_hil.console.listening import listen, own_address, ssh_target, ssl_context
from gym_hil.display import TlsOption
from gym_hil.errors import ConfigurationError, DeviceError, MissingExtraError

if TYPE_CHECKING:
    from gym_hil.console.page_server import PageServer

logger = logging.getLogger(__name__)

THIS_MACHINE, ALL_MACHINES = "127.0.0.1", "0.0.0.0"
_SECONDS_TO_STOP = 5.0


class Site(ABC):
    """Something to do in a browser. The program never waits for the server.

    Args:
        host: address to listen at; None is this machine alone, or every machine with `allow_remote`.
        port: to listen at; None takes the first free one from 8850.
        token: the secret in the link; None makes a random one.
        allow_remote: other machines may come; needs `tls`.
        tls: True makes a certificate for this user; or (certificate, key), two files.
        public_url: address under which a reverse proxy serves the page.

    Attributes:
        LABEL: what the link is for, in a word or two.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        ConfigurationError: `host` can be reached by others, but `allow_remote` or `tls` is missing; or the token is
            too short.
        DeviceError: the address cannot be listened at, or the certificate not be used.
    """

    LABEL: ClassVar[str]
    _server: PageServer

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        token: str | None = None,
        allow_remote: bool = False,
        tls: TlsOption = False,
        public_url: str | None = None,
    ):
        try:
            import aiohttp  # noqa: F401
            import simplejpeg  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                f"The web console needs {error.name}: pip install 'gym-hil[web]' (on headless machines too)."
            ) from error
        host = host or (ALL_MACHINES if allow_remote else THIS_MACHINE)
        if not is_loopback(host) and not (allow_remote and tls):
            raise ConfigurationError(
                f"host {host!r} can be reached from other machines; that needs allow_remote and tls (as options of a "
                "command: --allow-remote --tls). Without them use 127.0.0.1 and the printed `ssh -L` line."
            )
        if token is not None and len(token) < 16:
            raise ConfigurationError(f"The console's token has {len(token)} characters; expected 16 or more.")
        self.host, self.allow_remote, self.tls, self.public_url = host, allow_remote, tls, public_url
        self._ssl = ssl_context(tls)
        self._socket = listen(host, port)
        self._address, self.port = self._socket.getsockname()[:2]
        self.token = token or secrets.token_urlsafe(24)
        self.pid = os.getpid()
        self.closed = False
        self._start()

    @abstractmethod
    def make_server(self, access: Access) -> PageServer:
        """What answers requests; made in the thread and the loop in which it serves."""

    @property
    def url(self) -> str:
        """The link for a browser on this machine, with the token."""
        return self._link("127.0.0.1" if ipaddress.ip_address(self._address).is_unspecified else self._address)

    def announcement(self) -> str:
        """What an operator has to know: the link, and how to reach it from another machine."""
        if not is_loopback(self.host):
            names = dict.fromkeys([own_address() if self.host == ALL_MACHINES else self.host, socket.gethostname()])
            return (
                f"{self.LABEL}: {' or '.join(map(self._link, names))}\n"
                "The certificate is this user's own, so the browser asks once whether to trust it."
            )
        user, server = ssh_target()
        return (
            f"{self.LABEL}: {self.url}\n"
            f"From another machine, first run there: ssh -N -L {self.port}:127.0.0.1:{self.port} {user}@{server}"
        )

    @property
    def refusals(self) -> int:
        """How many requests and messages were refused."""
        return self._server.refusals

    @property
    def running(self) -> bool:
        """Whether the server still answers."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop the server and free the port. Closing twice does no harm."""
        if self.closed:
            return
        self.closed = True
        if self.pid == os.getpid():  # a thread does not live on in a forked process
            if self.running:
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_SECONDS_TO_STOP)
        self._socket.close()

    def _link(self, name: str) -> str:
        shown = f"[{name}]" if ":" in name else name
        return f"{'https' if self._ssl else 'http'}://{shown}:{self.port}/?token={self.token}"

    def _start(self) -> None:
        access = Access(self.token, self.port, secure=self._ssl is not None, remote=not is_loopback(self.host))
        ready = threading.Event()
        failed: list[BaseException] = []

        async def serve() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            self._server = self.make_server(access)
            await self._server.start(self._socket, self._ssl)
            ready.set()
            await self._stop.wait()
            await self._server.stop()

        def run() -> None:
            try:
                asyncio.run(serve())
            except Exception as error:
                failed.append(error)
                if ready.is_set():
                    logger.exception("The console's server has stopped.")
                ready.set()

        self._thread = threading.Thread(target=run, name="gym-hil-console", daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            self._socket.close()
            raise DeviceError(f"The console's server did not start: {failed[0]}.") from failed[0]
