"""The console: one server in a daemon thread, on which environments of this process appear."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from gym_hil.console.access import Access
from gym_hil.console.channel import Channel
from gym_hil.console.site import Site
from gym_hil.display import ConsoleOptions, TlsOption
from gym_hil.errors import ConfigurationError

if TYPE_CHECKING:
    from gym_hil.console.server import Server


class Console(Site):
    """A web page for an operator: what the environments do, and the means to drive them.

    Args:
        host: see `Site`, and so with the others.
        port: to listen at; None takes the first free one from 8850.
        token: the secret in the link; None makes a random one.
        allow_remote: other machines may come; needs `tls`.
        tls: True makes a certificate for this user; or (certificate, key), two files.
        public_url: address under which a reverse proxy serves the page.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        ConfigurationError: `host` can be reached by others, but `allow_remote` or `tls` is missing; or the token is
            too short.
        DeviceError: the address cannot be listened at, or the certificate not be used.
    """

    LABEL = "Console"
    _server: Server

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
        self._channels: dict[int, Channel] = {}
        self._numbers: weakref.WeakKeyDictionary[Any, Channel] = weakref.WeakKeyDictionary()
        self._count = 0
        self._lock = threading.Lock()
        super().__init__(host, port, token=token, allow_remote=allow_remote, tls=tls, public_url=public_url)

    def make_server(self, access: Access) -> Server:
        """See `Site`."""
        from gym_hil.console.server import Server

        return Server(self, access, asyncio.get_running_loop())

    @property
    def channels(self) -> list[Channel]:
        """The environments that are shown, oldest first."""
        with self._lock:
            return list(self._channels.values())

    def channel(self, number: object) -> Channel | None:
        """The channel that pages name by a number; None if there is none."""
        return next((channel for channel in self.channels if channel.number == number), None)

    def channel_for(self, env: Any) -> Channel:
        """The channel of an environment; opened when it has none.

        Args:
            env: unwrapped, with `model`, `data` and `control_dt`. When it is no longer used anywhere, its channel
            closes.
        """
        with self._lock:
            channel = self._numbers.get(env)
            if channel is not None and not channel.closed:
                return channel
            self._count += 1
            channel = Channel(self._count, env, self._title(env), tell=self._tell, on_close=self._remove)
            self._channels[channel.number] = channel
            self._numbers[env] = channel
        weakref.finalize(env, channel.close).atexit = False
        self._server.channels_changed()
        return channel

    @property
    def latencies(self) -> list[float]:
        """How long the latest frames took from being published to being handled by a page, there and back, in s."""
        return list(self._server.latencies)

    def close(self) -> None:
        """See `Site`."""
        for channel in self.channels:
            channel.close()
        super().close()

    def _title(self, env: Any) -> str:
        spec = getattr(env, "spec", None)
        title = type(env).__name__ if spec is None else f"{spec.name}-v{spec.version}"
        title = title.replace("Base-v", "-v")
        same = sum(
            channel.title == title or channel.title.startswith(f"{title} (") for channel in self._channels.values()
        )
        return f"{title} ({same + 1})" if same else title

    def _tell(self, channel: Channel, message: dict[str, Any] | None) -> None:
        self._server.tell(channel, message)

    def _remove(self, channel: Channel) -> None:
        with self._lock:
            self._channels.pop(channel.number, None)
        self._server.channels_changed()


_shared: Console | None = None
_shared_lock = threading.Lock()


def get_console(options: ConsoleOptions | None = None, **fields: Any) -> Console:
    """The console that all environments of this process share, made at the first call; that prints the link.

    Args:
        options: what the console has to be like; fields that are None accept a running console as it is.
        **fields: of `ConsoleOptions`, instead of `options`.

    Raises:
        ConfigurationError: the console runs already and is not as asked for.
        MissingExtraError: the extra `web` is not installed.
        DeviceError: the address cannot be listened at.
    """
    global _shared
    given = (options or ConsoleOptions(**fields)).given()
    with _shared_lock:
        # In a forked process the parent's console is the parent's.
        if _shared is None or _shared.closed or _shared.pid != os.getpid():
            _shared = Console(**given)
            print(_shared.announcement(), file=sys.stderr, flush=True)
            return _shared
        for name, value in given.items():
            present = getattr(_shared, name)
            if value != present:
                raise ConfigurationError(
                    f"{name} is {value!r}, but the console of this process runs with {present!r}: {_shared.url}"
                )
        return _shared


def close_console() -> None:
    """Close the console that the environments of this process share; does nothing where none is running."""
    with _shared_lock:
        running = _shared if _shared is not None and _shared.pid == os.getpid() else None
    if running is not None:
        running.close()
