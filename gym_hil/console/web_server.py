"""A page for one operator: a web server in a daemon thread of this program, reached by one link with a secret token."""

from __future__ import annotations

import asyncio
import getpass
import ipaddress
import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from gym_hil.console.access import Access, is_loopback
from gym_hil.console.messages import MESSAGE_LIMIT
from gym_hil.console.tls import fingerprint, ssl_context
from gym_hil.display import ConsoleOptions
from gym_hil.errors import ConfigurationError, DeviceError, MissingExtraError

try:
    import simplejpeg  # noqa: F401
    from aiohttp import web
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.typedefs import Middleware
except ImportError as error:
    raise MissingExtraError(
        f"The web console needs {error.name}: pip install 'gym-hil[web]' (on headless machines too)."
    ) from error

logger = logging.getLogger(__name__)

THIS_MACHINE, ALL_MACHINES = "127.0.0.1", "0.0.0.0"
PORTS = range(8850, 8870)  # the first that is free, if none is asked for; then any
MIN_TOKEN = 16  # characters
SECONDS_FOR_A_REQUEST = 5.0  # after which a connection without a complete request is closed
SECONDS_IDLE = 15.0  # after which a connection without a new request is closed
SECONDS_TO_STOP = 5.0
# Everything a page uses comes from here; images may also be made in the page, from bytes that it got from here.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
STATIC = Path(__file__).parent / "static"
# A page that another site leads to does not get the cookie it was just given; one that it loads by itself does.
RELOAD = '<!doctype html><meta http-equiv="refresh" content="0; url=./"><title>gym_hil</title>'

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """Serves a page. The program never waits for it.

    Args:
        label: what the link is for, in a word or two.
        page: the page's file, of those in `STATIC`.
        options: where to listen and who can connect.
        routes: what the page asks for besides its files.
        own_page_only: paths for which a request has to say that it comes from this page: those that change something.
        background: coroutine functions that run while the server does.
        token: the secret in the link; None makes a random one.

    Attributes:
        options: as they are in force, with the port that was found.
        loop: in which everything runs.
        refusals: how many requests, and messages of a page, were refused.

    Raises:
        ConfigurationError: the host can be reached by others, but `allow_remote` or `tls` is missing; or the token is
            too short.
        DeviceError: the address cannot be listened at, or the certificate cannot be used.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        label: str,
        page: str,
        options: ConsoleOptions,
        *,
        routes: Sequence[web.AbstractRouteDef] = (),
        own_page_only: Collection[str] = (),
        background: Sequence[Callable[[], Awaitable[None]]] = (),
        token: str | None = None,
    ):
        host = options.host or (ALL_MACHINES if options.allow_remote else THIS_MACHINE)
        if not is_loopback(host) and not (options.allow_remote and options.tls):
            raise ConfigurationError(
                f"host {host!r} can be reached from other machines; that needs allow_remote and tls (as options of a "
                "command: --allow-remote --tls). Without them use 127.0.0.1 and the printed `ssh -L` line."
            )
        if token is not None and len(token) < MIN_TOKEN:
            raise ConfigurationError(f"The console's token has {len(token)} characters; expected {MIN_TOKEN} or more.")
        self._label, self._page_file, self._routes = label, page, routes
        self._own_page_only, self._background = own_page_only, background
        self._ssl = ssl_context(options.tls)
        self._socket = listen(host, options.port)
        self._address, self.port = self._socket.getsockname()[:2]
        self.options = ConsoleOptions(
            host, self.port, bool(options.allow_remote), options.tls or False, options.public_url
        )
        self.token = token or secrets.token_urlsafe(24)
        self.pid = os.getpid()
        self.closed = False
        self.refusals = 0
        self._access = Access(
            self.token, secure=self._ssl is not None, remote=not is_loopback(host), public_url=options.public_url
        )
        self._unanswered: set[object] = set()  # connections that have not sent a complete request yet
        self._start()

    @property
    def url(self) -> str:
        """The link for a browser on this machine, with the token."""
        return self._link(THIS_MACHINE if ipaddress.ip_address(self._address).is_unspecified else self._address)

    def announcement(self) -> str:
        """What an operator has to know: the link, and how to reach it from another machine."""
        host, public_url = str(self.options.host), self.options.public_url
        if public_url is not None:
            return f"{self._label}: {public_url.rstrip('/')}/?token={self.token}\nOn this machine: {self.url}"
        if not is_loopback(host):
            names = dict.fromkeys([own_address() if host == ALL_MACHINES else host, socket.gethostname()])
            return (
                f"{self._label}: {' or '.join(map(self._link, names))}\n"
                "The certificate is this user's own, so the browser asks once whether to trust it. Its SHA-256 is\n"
                f"{fingerprint(self.options.tls or False)}"
            )
        user, server = ssh_target()
        tunnel = f"ssh -N -L {self.port}:{_bracketed(self._address)}:{self.port} {user}@{server}"
        # The other machine's end of the tunnel is always at its own 127.0.0.1.
        then = "" if self._address == THIS_MACHINE else f"\nand open there: {self._link(THIS_MACHINE)}"
        return f"{self._label}: {self.url}\nFrom another machine, first run there: {tunnel}{then}"

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
                self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(SECONDS_TO_STOP)
        self._socket.close()

    def _link(self, name: str) -> str:
        return f"{'https' if self._ssl else 'http'}://{_bracketed(name)}:{self.port}/?token={self.token}"

    def _start(self) -> None:
        ready = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._serve(ready))
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

    async def _serve(self, ready: threading.Event) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(middlewares=[self._middleware()], client_max_size=MESSAGE_LIMIT)
        app.router.add_get("/", self._page)
        app.router.add_routes(self._routes)
        app.router.add_static("/static", STATIC)
        runner = web.AppRunner(
            app, access_log=None, logger=_http_logger(), keepalive_timeout=SECONDS_IDLE, shutdown_timeout=1.0
        )
        await runner.setup()

        def connect() -> asyncio.BaseProtocol:
            assert runner.server is not None
            connection = runner.server()
            self._unanswered.add(connection)
            self.loop.call_later(SECONDS_FOR_A_REQUEST, self._close_unless_answered, connection)
            return connection

        handshake = None if self._ssl is None else SECONDS_FOR_A_REQUEST
        server = await self.loop.create_server(
            connect, sock=self._socket, ssl=self._ssl, ssl_handshake_timeout=handshake
        )
        tasks = [asyncio.ensure_future(run()) for run in self._background]
        ready.set()
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        server.close()
        await runner.cleanup()

    def _close_unless_answered(self, connection: web.RequestHandler) -> None:
        if connection in self._unanswered:
            self._unanswered.discard(connection)
            connection.force_close()

    def _middleware(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._unanswered.discard(request.protocol)
            why = self._refusal(request)
            if why is not None:
                self.refusals += 1
                return web.Response(status=403, text=why, headers=HEADERS)
            try:
                response = await handler(request)
            except web.HTTPException as error:
                error.headers.update(HEADERS)
                raise
            if not response.prepared:
                response.headers.update(HEADERS)
            return response

        return guard

    def _refusal(self, request: web.Request) -> str | None:
        host = request.headers.get("Host")
        if not self._access.knows_host(host):
            return (
                f"The console does not know itself as {host}. Use the link that the program printed, or start it with "
                "--public-url and the address in your browser (public_url in Python)."
            )
        origin = request.headers.get("Origin")
        needed = request.path in self._own_page_only
        if (origin is not None or needed) and not self._access.is_own_page(origin, host):
            return "Only the console's own page may do this. Behind a proxy, start the program with --public-url."
        if request.path == "/" and "token" in request.query:
            known = self._access.knows_token(request.query["token"])
        else:
            known = self._access.knows_token(request.cookies.get(self._access.cookie_name(host)))
        return None if known else "The link's token is missing or wrong; open the link that the program printed."

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if "token" not in request.query:
            return web.Response(text=(STATIC / self._page_file).read_text(encoding="utf-8"), content_type="text/html")
        # Out of the address bar and the history: from here on the cookie is enough.
        headers = {"Set-Cookie": self._access.cookie_header(request.headers.get("Host"))}
        if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            return web.Response(text=RELOAD, content_type="text/html", headers=headers)
        return web.Response(status=303, headers={"Location": "./", **headers})


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Args:
        host: address.
        port: None takes the first free one of `PORTS`, 0 any.

    Raises:
        DeviceError: the address cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    candidates = [*PORTS, 0] if port is None else [port]
    for candidate in candidates:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":  # there it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(64)
        except OSError as error:
            listener.close()
            if candidate == candidates[-1]:
                where = host if port is None else f"{host} port {port}"
                advice = "Choose another host." if port is None else "Choose another port, or none for a free one."
                raise DeviceError(f"The console cannot listen at {where}: {error}. {advice}") from error
        else:
            return listener
    raise AssertionError("unreachable: the last candidate either listens or raises")


def own_address() -> str:
    """The address by which the local network knows this machine, or else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks which way a packet would take. The address is one of RFC 5737's examples.
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def ssh_target() -> tuple[str, str]:
    """User and server as the operator's own ssh command would name them, as far as one can know."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "USER"
    # client address, client port, server address, server port
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return user, connection[2] if len(connection) == 4 else socket.gethostname()


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _http_logger() -> logging.Logger:
    """A logger without a traceback for each request that is no HTTP: port scanners and browsers that try TLS."""
    made = logging.getLogger(f"{__name__}.http")
    if not made.filters:
        made.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
    return made
