"""A page without a browser: it speaks the console's protocol and does nothing on its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import aiohttp

from gym_hil.console.messages import FRAME_HEADER

_NAMES = itertools.count()
SECONDS = 60.0  # until a test gives up waiting; a busy machine is slow, and the renderer may have to be compiled


class Loop:
    """An event loop in a thread of its own, for all pages of a test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result(SECONDS)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Page:
    """One page. It has exchanged the token for the cookie when it is made."""

    def __init__(self, loop: Loop, console: Any, name: str | None = None, *, acks: bool = True):
        self._loop, self._console, self._acks = loop, console, acks
        self.name = name or f"page-without-browser-{next(_NAMES)}"
        self.base = f"http://127.0.0.1:{console.port}"
        self.messages: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self._socket: Any = None
        self._session = loop.run(self._open_session())
        self.get(f"/?token={console.token}")

    def get(self, path: str, **headers: str) -> tuple[int, bytes, Any]:
        """Status, body and headers of an answer; redirects are not followed."""

        async def get() -> tuple[int, bytes, Any]:
            async with self._session.get(self.base + path, headers=headers, allow_redirects=False) as response:
                return response.status, await response.read(), response.headers

        return self._loop.run(get())

    def post(self, path: str, body: str, **headers: str | None) -> tuple[int, str]:
        """Status and body of an answer; headers as of the server's own page unless they are given, None for without."""

        async def post() -> tuple[int, str]:
            own = {name: value for name, value in {"Origin": self.base, **headers}.items() if value is not None}
            async with self._session.post(self.base + path, data=body, headers=own) as response:
                return response.status, await response.text()

        return self._loop.run(post())

    def connect(self, **headers: str) -> Page:
        """Open the WebSocket; headers as of the console's own page unless they are given."""
        self._loop.run(self._connect({"Origin": self.base, **headers}))
        return self

    def watch(self, channel: int) -> Page:
        self.send(type="watch", channel=channel)
        self.wait(lambda: any(message["channel"] == channel for message in self.all("lock")[-1:]))
        return self

    def take(self) -> Page:
        self.send(type="take")
        self.wait(lambda: self.latest("lock")["holder"] == "you")
        return self

    def send(self, **message: Any) -> None:
        self.send_text(json.dumps(message))

    def send_text(self, text: str) -> None:
        self._loop.run(self._socket.send_str(text))

    def input(
        self,
        *,
        motion: Any = (0, 0, 0, 0, 0, 0),
        held: Any = (),
        changes: Any = (),
        target: Any = None,
        clock: float | None = None,
    ) -> None:
        self.send(
            type="input",
            time=time.monotonic() * 1000 if clock is None else clock,
            motion=list(motion),
            held=list(held),
            changes=[list(change) for change in changes],
            target=target,
        )

    def tap(self, *buttons: str) -> None:
        self.input(changes=[(how, button) for button in buttons for how in ("press", "release")])

    def latest(self, kind: str) -> dict[str, Any]:
        return next(message for message in reversed(self.messages) if message["type"] == kind)

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        self.wait(lambda: len(self.all(kind)) >= count)
        return self.latest(kind)

    def wait(self, condition: Callable[[], bool]) -> None:
        wait_until(condition)

    def sync(self) -> None:
        """Return when everything sent so far was handled: the server works in order and answers this."""
        count = len(self.all("refused"))
        self.send(type="request", name="nothing that exists")
        self.wait(lambda: len(self.all("refused")) > count)

    def kill(self) -> None:
        """Lose the connection without closing it, as when the Wi-Fi is gone."""

        async def kill() -> None:
            self._socket._response.connection.transport.abort()

        self._loop.run(kill())

    def close(self) -> None:
        self._loop.run(self._close())

    async def _open_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def _connect(self, headers: dict[str, str]) -> None:
        address = f"{self.base}/connect?page={self.name}"
        self._socket = await self._session.ws_connect(address, headers=headers)
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                received = json.loads(message.data)
                if received["type"] != "alive":
                    self.messages.append(received)
            elif message.type is aiohttp.WSMsgType.BINARY:
                frame = unpack(message.data)
                self.frames.append(frame)
                if self._acks:
                    with contextlib.suppress(ConnectionError):  # it may be closing while frames are under way
                        await self._socket.send_json(
                            {"type": "ack", "channel": frame["channel"], "sequence": frame["sequence"]}
                        )
        self.closed_with = self._socket.close_code

    async def _close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
            await self._reader
        await self._session.close()


def unpack(data: bytes) -> dict[str, Any]:
    """The parts of a frame."""
    kind, images, words, channel, bodies, sequence, revision, published, input_time = FRAME_HEADER.unpack_from(data)
    at = FRAME_HEADER.size
    poses = struct.unpack_from(f"<{7 * bodies}f", data, at)
    at += 28 * bodies
    status = json.loads(data[at : at + words])
    at += words
    jpegs = []
    for _image in range(images):
        (length,) = struct.unpack_from("<I", data, at)
        jpegs.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    assert at == len(data)
    return {
        "kind": kind,
        "channel": channel,
        "sequence": sequence,
        "revision": revision,
        "published": published,
        "input_time": input_time,
        "poses": poses,
        "status": status,
        "jpegs": jpegs,
    }


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
