"""The console: one server in a daemon thread, on which environments of this process appear."""

from __future__ import annotations

import asyncio
import getpass
import ipaddress
import logging
import os
import secrets
import socket
import ssl
import sys
import threading
import weakref
from os import PathLike
from typing import Any

from gym_hil.console.access import Access, is_loopback
from gym_hil.console.stage import Stage
from gym_hil.errors import ConfigurationError, DeviceError, MissingExtraError

logger = logging.getLogger(__name__)

THIS_MACHINE, ALL_MACHINES = "127.0.0.1", "0.0.0.0"
PORTS = range(8850, 8870)  # the first that is free, if none is asked for; then any
_SECONDS_TO_STOP = 5.0

TlsOption = bool | tuple[str | PathLike[str], str | PathLike[str]]


class Console:
    """A web page for a person: what the environments do, and the means to drive them.

    The server runs beside the program; environments never wait for it. It is reached by one link with a secret token.

    Args:
        host: address to listen at; None is this machine alone, or every machine with `allow_remote`.
        port: to listen at; None takes the first free one from 8850.
        token: the secret in the link; None makes a random one.
        allow_remote: other machines may come; needs `tls`.
        tls: True makes a certificate for this user; or (certificate, key), two files.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        ConfigurationError: `host` can be reached by others, but `allow_remote` or `tls` is missing; or the token is
            too short.
        DeviceError: the address cannot be listened at, or the certificate not be used.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        token: str | None = None,
        allow_remote: bool = False,
        tls: TlsOption = False,
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
        self.host, self.allow_remote, self.tls = host, allow_remote, tls
        self._ssl = _ssl_context(tls)
        self._socket = _listen(host, port)
        self._address, self.port = self._socket.getsockname()[:2]
        self.token = token or secrets.token_urlsafe(24)
        self.pid = os.getpid()
        self.closed = False
        self._stages: dict[int, Stage] = {}
        self._numbers: weakref.WeakKeyDictionary[Any, Stage] = weakref.WeakKeyDictionary()
        self._count = 0
        self._lock = threading.Lock()
        self._start()

    @property
    def url(self) -> str:
        """The link for a browser on this machine, with the token."""
        return self._link("127.0.0.1" if ipaddress.ip_address(self._address).is_unspecified else self._address)

    def announcement(self) -> str:
        """What a person has to know: the link, and how to reach it from another machine."""
        if not is_loopback(self.host):
            names = dict.fromkeys([_own_address() if self.host == ALL_MACHINES else self.host, socket.gethostname()])
            return (
                f"Console: {' or '.join(map(self._link, names))}\n"
                "The certificate is this user's own, so the browser asks once whether to trust it."
            )
        user, server = _ssh_target()
        return (
            f"Console: {self.url}\n"
            f"From another machine, first run there: ssh -N -L {self.port}:127.0.0.1:{self.port} {user}@{server}"
        )

    @property
    def stages(self) -> list[Stage]:
        """The environments that are shown, oldest first."""
        with self._lock:
            return list(self._stages.values())

    def stage(self, number: object) -> Stage | None:
        """The stage that pages name by a number; None if there is none."""
        return next((stage for stage in self.stages if stage.number == number), None)

    def stage_of(self, env: Any) -> Stage:
        """The stage of an environment; opened when it has none.

        Args:
            env: unwrapped, with `model`, `data` and `control_dt`. When it is no longer used anywhere, its stage closes.
        """
        with self._lock:
            stage = self._numbers.get(env)
            if stage is not None and not stage.closed:
                return stage
            self._count += 1
            stage = Stage(self._count, env, self._title(env), tell=self._tell, on_close=self._remove)
            self._stages[stage.number] = stage
            self._numbers[env] = stage
        weakref.finalize(env, stage.close).atexit = False
        self._server.stages_changed()
        return stage

    @property
    def latencies(self) -> list[float]:
        """How long the latest frames took from being published to being handled by a page, there and back, in s."""
        return list(self._server.latencies)

    @property
    def refusals(self) -> int:
        """How many requests and messages were refused."""
        return self._server.refusals

    def close(self) -> None:
        """Stop the server and free the port. Closing twice does no harm."""
        if self.closed:
            return
        self.closed = True
        for stage in self.stages:
            stage.close()
        if self.pid == os.getpid():  # a thread does not live on in a forked process
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_SECONDS_TO_STOP)
        self._socket.close()

    def _link(self, name: str) -> str:
        shown = f"[{name}]" if ":" in name else name
        return f"{'https' if self._ssl else 'http'}://{shown}:{self.port}/?token={self.token}"

    def _title(self, env: Any) -> str:
        spec = getattr(env, "spec", None)
        title = type(env).__name__ if spec is None else f"{spec.name}-v{spec.version}"
        title = title.replace("Base-v", "-v")
        same = sum(stage.title == title or stage.title.startswith(f"{title} (") for stage in self._stages.values())
        return f"{title} ({same + 1})" if same else title

    def _tell(self, stage: Stage, message: dict[str, Any] | None) -> None:
        self._server.tell(stage, message)

    def _remove(self, stage: Stage) -> None:
        with self._lock:
            self._stages.pop(stage.number, None)
        self._server.stages_changed()

    def _start(self) -> None:
        from gym_hil.console.server import Server

        access = Access(self.token, self.port, secure=self._ssl is not None, remote=not is_loopback(self.host))
        ready = threading.Event()
        failed: list[BaseException] = []

        async def serve() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            self._server = Server(self, access, self._loop)
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


_shared: Console | None = None
_shared_lock = threading.Lock()


def get_console(
    *,
    host: str | None = None,
    port: int | None = None,
    allow_remote: bool | None = None,
    tls: TlsOption | None = None,
) -> Console:
    """The console that all environments of this process share, made at the first call; that prints the link.

    Args:
        host: see `Console`; None leaves it as it is, and so with the others.
        port: see `Console`.
        allow_remote: see `Console`.
        tls: see `Console`.

    Raises:
        ConfigurationError: the console runs already and is not as asked for.
        MissingExtraError: the extra `web` is not installed.
        DeviceError: the address cannot be listened at.
    """
    global _shared
    wanted = {"host": host, "port": port, "allow_remote": allow_remote, "tls": tls}
    given = {name: value for name, value in wanted.items() if value is not None}
    with _shared_lock:
        # In a forked process the parent's console is the parent's.
        if _shared is None or _shared.closed or _shared.pid != os.getpid():
            _shared = Console(**given)  # type: ignore[arg-type]
            print(_shared.announcement(), file=sys.stderr, flush=True)
            return _shared
        for name, value in given.items():
            present = getattr(_shared, name)
            if value != present:
                raise ConfigurationError(
                    f"{name} is {value!r}, but the console of this process runs with {present!r}: {_shared.url}"
                )
        return _shared


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    wanted = [*PORTS, 0] if port is None else [port]
    for candidate in wanted:
        listener = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":  # there it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(64)
        except (OSError, OverflowError) as error:
            listener.close()
            if candidate == wanted[-1]:
                raise DeviceError(
                    f"The console cannot listen at {host} port {port}: {error}. Choose another port, or none to have a "
                    "free one."
                ) from error
        else:
            return listener
    raise AssertionError("unreachable: the last candidate either listens or raises")


def _ssl_context(tls: TlsOption) -> ssl.SSLContext | None:
    if not tls:
        return None
    from gym_hil.console.tls import user_certificate

    certificate, key = user_certificate() if isinstance(tls, bool) else tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise DeviceError(f"The certificate {certificate} with the key {key} cannot be used: {error}.") from error
    return context


def _own_address() -> str:
    """The address by which the local network knows this machine, or else its name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks which way a packet would take. The address is one of RFC 5737's examples.
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def _ssh_target() -> tuple[str, str]:
    """User and server as the person's own ssh command would name them, as far as one can know."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "USER"
    # client address, client port, server address, server port
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return user, connection[2] if len(connection) == 4 else socket.gethostname()
