"""The console: one server in a daemon thread, on which environments of this process appear."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from gym_hil.console.access import Access
from gym_hil.console.listening import TlsOption
from gym_hil.console.site import Site
from gym_hil.console.stage import Stage
from gym_hil.errors import ConfigurationError

if TYPE_CHECKING:
    from gym_hil.console.server import Server


class Console(Site):
    """A web page for a person: what the environments do, and the means to drive them.

    Args:
        host: see `Site`, and so with the others.
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
    ):
        self._stages: dict[int, Stage] = {}
        self._numbers: weakref.WeakKeyDictionary[Any, Stage] = weakref.WeakKeyDictionary()
        self._count = 0
        self._lock = threading.Lock()
        super().__init__(host, port, token=token, allow_remote=allow_remote, tls=tls)

    def make_server(self, access: Access) -> Server:
        """See `Site`."""
        from gym_hil.console.server import Server

        return Server(self, access, asyncio.get_running_loop())

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

    def close(self) -> None:
        """See `Site`."""
        for stage in self.stages:
            stage.close()
        super().close()

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
