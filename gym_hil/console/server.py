"""The console of this process: environments appear on it as channels, and pages watch and drive them."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import gzip
import json
import os
import queue
import re
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from gym_hil.console import messages
from gym_hil.console.channel import Channel
from gym_hil.console.connection import PageConnection
from gym_hil.console.web_server import WebServer
from gym_hil.display import ConsoleOptions
from gym_hil.errors import ConfigurationError

MAX_PAGES = 32
HEARTBEAT = 2.0  # s between pings; a connection that answers none is closed
LOCK_CHECK = 1.0  # s
LATENCIES_KEPT = 2000
SECONDS_TO_END = 1.5  # until pages that do not take the farewell are left behind
PAGE_ID = re.compile(rf"[A-Za-z0-9_-]{{{messages.PAGE_ID_LENGTH[0]},{messages.PAGE_ID_LENGTH[1]}}}")


class Console(WebServer):
    """A web page for an operator: what the environments do, and the means to drive them.

    Environments call `channel_for` and use the channel from threads of their own; pages are served in the loop of a
    daemon thread. What the first ask of the second goes through a queue, so that they never wait for it, and so that
    the garbage collector can close an abandoned environment's channel at any moment.

    Args:
        options: where to listen and who can connect.
        token: the secret in the link, of at least 16 characters; None makes a random one.
        **fields: of `ConsoleOptions`, instead of `options`.

    Raises:
        ConfigurationError: `host` can be reached by others, but `allow_remote` or `tls` is missing; or the token is
            too short.
        DeviceError: the address cannot be listened at, or the certificate cannot be used.
    """

    def __init__(self, options: ConsoleOptions | None = None, *, token: str | None = None, **fields: Any):
        self._channels: dict[int, Channel] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._connections: dict[str, PageConnection] = {}
        self._farewell = "The program has ended."
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)
        # `SimpleQueue.put` may be interrupted by another `put` of the same thread, as the garbage collector does.
        self._queue: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.SimpleQueue()
        super().__init__(
            "Console",
            "index.html",
            options or ConsoleOptions(**fields),
            token=token,
            routes=[
                web.get("/connect", self._connect),
                web.get("/channel/{number:[0-9]{1,6}}/{part:scene.json|meshes.bin}", self._scene),
            ],
            own_page_only={"/connect"},
            background=[self._watch_locks],
        )
        threading.Thread(target=self._run_queue, name="gym-hil-console-queue", daemon=True).start()

    @property
    def latencies(self) -> list[float]:
        """How long the latest frames took from being published to being handled by a page, there and back, in s."""
        return list(self._latencies)

    @property
    def channels(self) -> list[Channel]:
        """The open channels, oldest first."""
        return [channel for channel in list(self._channels.values()) if not channel.closed]

    def channel_for(self, env: Any) -> Channel:
        """The channel of an unwrapped environment, opened when it has none, closed when nothing else uses that."""
        with self._lock:
            for channel in self.channels:
                if channel.shows(env):
                    return channel
            self._count += 1
            channel = Channel(self._count, env, self._title(env), send=self._send, on_close=self._remove_later)
            self._channels[channel.number] = channel
        weakref.finalize(env, channel.close).atexit = False
        self._post(self._send_channels)
        return channel

    def close(self) -> None:
        for channel in self.channels:
            channel.close()
        self._queue.put(None)
        if not self.closed and self._connections and self.pid == os.getpid() and self.running:
            ending = asyncio.run_coroutine_threadsafe(self._end_connections(), self.loop)
            with contextlib.suppress(TimeoutError, concurrent.futures.TimeoutError):
                ending.result(SECONDS_TO_END)
        super().close()

    def _title(self, env: Any) -> str:
        spec = getattr(env, "spec", None)
        # An id with an operator names the task's own id.
        env_id = type(env).__name__ if spec is None else spec.kwargs.get("env_id", spec.id)
        title = env_id.rpartition("/")[2].replace("Base-v", "-v")
        same = sum(channel.title == title or channel.title.startswith(f"{title} (") for channel in self.channels)
        return f"{title} ({same + 1})" if same else title

    # From any thread to the loop.

    def _post(self, function: Callable[..., None], *arguments: Any) -> None:
        self._queue.put((function, arguments))

    def _run_queue(self) -> None:
        """Hand the loop what other threads have put into the queue.

        To wake a loop is to write to a socket, which lets the loop run at once and the writer wait until it has packed
        and sent the frame. An environment's thread that only puts something into a queue goes on with its step.
        """
        while (call := self._queue.get()) is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self.loop.call_soon_threadsafe(call[0], *call[1])

    def _send(self, channel: Channel, message: messages.ServerMessage | None) -> None:
        if self._connections:
            self._post(self._send_to_pages, channel, message)

    def _remove_later(self, channel: Channel) -> None:
        self._farewell = channel.farewell
        self._post(self._remove, channel)

    # In the loop.

    async def _end_connections(self) -> None:
        await asyncio.gather(*(connection.end(self._farewell) for connection in list(self._connections.values())))

    def _remove(self, channel: Channel) -> None:
        self._channels.pop(channel.number, None)
        self._send_channels()

    def _pages_of(self, channel: Channel) -> list[PageConnection]:
        return [connection for connection in self._connections.values() if connection.channel is channel]

    def _send_to_pages(self, channel: Channel, message: messages.ServerMessage | None) -> None:
        for connection in self._pages_of(channel):
            connection.send_frame() if message is None else connection.send(message)

    def _channel_list(self) -> list[messages.ChannelInfo]:
        return [messages.ChannelInfo(channel.number, channel.title, channel.controllable) for channel in self.channels]

    def _send_channels(self) -> None:
        message = messages.Channels(self._channel_list())
        for connection in list(self._connections.values()):
            connection.send(message)
            if connection.channel is not None and connection.channel.closed:
                connection.watch(None)

    def _receive(self, connection: PageConnection, message: messages.PageMessage) -> None:
        channel = connection.channel
        if isinstance(message, messages.Watch):
            self._watch(connection, message)
        elif channel is None:
            connection.send(messages.Refused("No environment is shown on this page."))
        elif isinstance(message, messages.Input):
            if channel.lock.renew(connection.page, time.monotonic()) and channel.device is not None:
                channel.device.receive(message)
        elif isinstance(message, messages.Take):
            self._take(connection, channel)
        elif isinstance(message, messages.Release):
            self._release(connection, channel)
            self._send_lock(channel)
        elif not self._holds_lock(connection, channel):
            connection.send(messages.Refused("Take the controls first."))
        elif isinstance(message, messages.Answer):
            self._answer(connection, channel, grant=message.grant)
        elif isinstance(message, messages.Pause):
            channel.pause(message.on)
        elif isinstance(message, messages.Request) and not channel.request(message.name):
            connection.send(messages.Refused(f"There is no button {message.name!r} here."))

    def _watch(self, connection: PageConnection, message: messages.Watch) -> None:
        before = connection.channel
        channel = next((channel for channel in self.channels if channel.number == message.channel), None)
        if before is not None and before is not channel:
            self._release(connection, before)
        connection.images = message.images
        connection.watch(channel)
        for changed in {before, channel}:
            if changed is not None:
                self._update_needs(changed)
                self._send_lock(changed)

    def _take(self, connection: PageConnection, channel: Channel) -> None:
        if not channel.controllable:
            connection.send(
                messages.Refused('This environment cannot be driven from the page: it has no device "web".')
            )
        elif channel.lock.take(connection.page, time.monotonic()):
            channel.log_event("control", "controls taken")
        elif channel.asker is None:
            channel.asker = connection.page
            channel.log_event("control", "another page asks for the controls")
        elif channel.asker != connection.page:
            self.refusals += 1
            connection.send(messages.Refused("Another page has asked for the controls already."))
        self._send_lock(channel)

    def _answer(self, connection: PageConnection, channel: Channel, *, grant: bool) -> None:
        """The answer of the page that drives to the one that asks for the controls."""
        asker, channel.asker = channel.asker, None
        if asker is not None and grant:
            self._release(connection, channel)
            channel.asker = asker
        elif asker in self._connections:
            self._connections[asker].send(messages.Refused("The page that has the controls keeps them."))
        self._send_lock(channel)

    def _release(self, connection: PageConnection, channel: Channel) -> None:
        if channel.asker == connection.page:
            channel.asker = None
        if channel.lock.release(connection.page):
            channel.log_event("control", "controls released")
            channel.pause(False)
            if channel.device is not None:
                channel.device.release()

    def _holds_lock(self, connection: PageConnection, channel: Channel) -> bool:
        return channel.lock.holder(time.monotonic()) == connection.page

    def _update_needs(self, channel: Channel) -> None:
        pages = self._pages_of(channel)
        channel.view.watched = bool(pages)
        channel.view.needs_images = any(page.images for page in pages)

    def _send_lock(self, channel: Channel) -> None:
        now = time.monotonic()
        if channel.asker is not None and channel.lock.holder(now) in (None, channel.asker):
            # The page that drove has handed over, or is gone.
            channel.lock.take(channel.asker, now)
            channel.asker = None
            channel.log_event("control", "controls handed over")
        holder, free_in = channel.lock.holder(now), channel.lock.free_in(now)
        left = None if free_in is None else round(free_in, 1)
        pages = self._pages_of(channel)
        for connection in pages:
            who, asked = (
                "none" if page is None else "you" if page == connection.page else "other"
                for page in (holder, channel.asker)
            )
            connection.send(messages.Lock(channel.number, who, left, len(pages), asked))  # type: ignore[arg-type]

    async def _watch_locks(self) -> None:
        """Notify the pages when a holder goes silent, and when its lock is free again."""
        known: dict[int, tuple[float | None, str | None]] = {}
        while True:
            await asyncio.sleep(LOCK_CHECK)
            now = time.monotonic()
            for channel in self.channels:
                state = channel.lock.free_in(now), channel.lock.holder(now)
                if state != known.get(channel.number, (None, None)):
                    self._send_lock(channel)
                known[channel.number] = state

    # Requests.

    async def _scene(self, request: web.Request) -> web.StreamResponse:
        channel = self._channels.get(int(request.match_info["number"]))
        if channel is None or channel.closed:
            raise web.HTTPNotFound(text="This environment is not shown any more.")
        if request.match_info["part"] == "scene.json":
            text = json.dumps(asdict(channel.view.description), allow_nan=False)
            return web.Response(text=text, content_type="application/json")
        body = gzip.compress(channel.view.meshes, 6)
        return web.Response(body=body, content_type="application/octet-stream", headers={"Content-Encoding": "gzip"})

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        page = request.query.get("page", "")
        if not PAGE_ID.fullmatch(page):
            raise web.HTTPBadRequest(text="page has to be 16 to 64 letters, digits, - and _.")
        if len(self._connections) >= MAX_PAGES and page not in self._connections:
            raise web.HTTPServiceUnavailable(text=f"{MAX_PAGES} pages are open already.")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=messages.MESSAGE_LIMIT, compress=False)
        await socket.prepare(request)
        earlier = self._connections.get(page)
        connection = PageConnection(page, socket, receive=self._receive, latencies=self._latencies)
        self._connections[page] = connection
        if earlier is not None:
            await earlier.replace()
        try:
            await connection.serve(messages.Hello(messages.VERSION, self._channel_list()))
        finally:
            self.refusals += connection.refusal is not None
            if self._connections.get(page) is connection:
                del self._connections[page]
            self._disconnect(connection)
        return socket

    def _disconnect(self, connection: PageConnection) -> None:
        """A lost page stops driving, but keeps the lock for a while, in which it can come back."""
        channel = connection.channel
        if channel is None:
            return
        lost = connection.page not in self._connections
        if lost and self._holds_lock(connection, channel) and channel.device is not None:
            channel.device.disconnect()
        if lost and channel.asker == connection.page:
            channel.asker = None
        self._update_needs(channel)
        self._send_lock(channel)


_shared: Console | None = None
_shared_lock = threading.Lock()


def get_console(options: ConsoleOptions | None = None, **fields: Any) -> Console:
    """The console that all environments of this process share, made at the first call; that prints the link.

    Options that are None accept a running console as it is; fields of `ConsoleOptions` may be given instead of it.

    Raises:
        ConfigurationError: the console runs already and is not as asked for.
        DeviceError: the address cannot be listened at.
    """
    global _shared
    wanted = options or ConsoleOptions(**fields)
    with _shared_lock:
        # In a forked process the parent's console is the parent's.
        if _shared is None or _shared.closed or _shared.pid != os.getpid():
            _shared = Console(wanted)
            print(_shared.announcement(), file=sys.stderr, flush=True)
            atexit.register(_shared.close)
            return _shared
        for name, value in wanted.given().items():
            present = getattr(_shared.options, name)
            if value != present and (name, value) != ("port", 0):
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
