"""SDL's joysticks, read often enough that nothing is lost, and shared by everybody in this process who wants them."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from gym_hil.errors import DeviceError

# The Linux kernel keeps 64 changes of a controller, which two moving sticks fill in 13 ms; what comes then is lost.
BUSY_PERIOD = 0.008  # s between readings while somebody uses a controller
IDLE_PERIOD = 0.05  # s between looks for a new one
# What SDL looks for in the environment when it starts.
SDL_SETTINGS = {
    "SDL_VIDEODRIVER": "dummy",  # pygame hands out events only with a display; ours needs none
    "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS": "1",
    "SDL_NO_SIGNAL_HANDLERS": "1",  # else SIGTERM no longer ends the process
    "SDL_JOYSTICK_THREAD": "1",  # Windows tells of new controllers without a message loop of ours
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
}


@dataclass(frozen=True)
class News:
    """What came from the joysticks since the last reading.

    SDL keeps the order among presses, among releases and among movements, not between these.

    Attributes:
        presses: instance and button.
        releases: instance and button.
        axes: instance, axis and value in [-1, 1].
        hats: instance, hat, and its x and y, each -1, 0 or 1.
        removed: instances that were unplugged; None if some were, but not which.
        count: how many joysticks there are now.
    """

    presses: list[tuple[int, int]]
    releases: list[tuple[int, int]]
    axes: list[tuple[int, int, float]]
    hats: list[tuple[int, int, tuple[int, int]]]
    removed: list[int] | None
    count: int


class Listener(Protocol):
    """Somebody who wants to hear of joysticks."""

    @property
    def busy(self) -> bool:
        """Whether a joystick is in use."""
        ...

    def hear(self, news: News) -> None:
        """Take in what came; called under the lock, from any thread."""

    def lose(self) -> None:
        """Let go of everything: SDL was shut down."""


class Joysticks:
    """Reads SDL's joystick events in a thread of its own and hands them to all listeners.

    Only joystick events are taken out of pygame's queue, so a program with a window keeps its own.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._listeners: weakref.WeakSet[Any] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._owned: list[Any] = []  # pygame's parts that were started here, to be shut down again

    def add(self, listener: Listener) -> None:
        """Start to tell a listener.

        Raises:
            DeviceError: SDL does not start.
        """
        with self._lock:
            self._start_sdl()
            self._listeners.add(listener)
            if self._thread is None:
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="gym_hil gamepads", daemon=True
                )
                self._thread.start()
                atexit.register(self._end)  # before pygame's own, because it is registered later

    def discard(self, listener: Listener) -> None:
        """Stop to tell a listener; without any, SDL is shut down if it was started here."""
        with self._lock:
            self._listeners.discard(listener)
            if self._listeners:
                return
        self._end()

    def read(self) -> None:
        """Hand out what has come by now."""
        with self._lock:
            try:
                news = self._news()
                for listener in list(self._listeners):
                    listener.hear(news)
            except _sdl_error():
                for listener in list(self._listeners):
                    listener.lose()
                self._restart()

    def _run(self, stop: threading.Event) -> None:
        busy = False
        while not stop.wait(BUSY_PERIOD if busy else IDLE_PERIOD):
            with self._lock:
                if stop.is_set():
                    return
                if not self._listeners:  # all were garbage collected
                    self._thread = None
                    self._shut_down()
                    return
                self.read()
                busy = any(listener.busy for listener in self._listeners)

    def _end(self) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
            atexit.unregister(self._end)
        if thread is not None:
            thread.join()  # without the lock, which the thread may be waiting for
        with self._lock:
            if self._thread is None:
                self._shut_down()

    def _news(self) -> News:
        pygame, controller = _pygame()
        self._update(pygame, controller)

        def take(kind: int) -> list[Any]:
            return pygame.event.get(kind, pump=False)

        try:
            removed = [event.instance_id for event in take(pygame.JOYDEVICEREMOVED)]
        except SystemError:
            # pygame fails to tell of one that it has never opened, and loses the others: pygame's issue 3634.
            removed = None
        return News(
            [(event.instance_id, event.button) for event in take(pygame.JOYBUTTONDOWN)],
            [(event.instance_id, event.button) for event in take(pygame.JOYBUTTONUP)],
            [(event.instance_id, event.axis, event.value) for event in take(pygame.JOYAXISMOTION)],
            [(event.instance_id, event.hat, event.value) for event in take(pygame.JOYHATMOTION)],
            removed,
            pygame.joystick.get_count(),
        )

    def _update(self, pygame: Any, controller: Any) -> None:
        """Have SDL look at the joysticks."""
        if hasattr(controller, "update"):
            controller.update()
        # pygame-ce can only pump all events, and those of real windows belong to the thread that polls.
        elif threading.current_thread() is not self._thread or pygame.display.get_driver() == "dummy":
            pygame.event.pump()

    def _start_sdl(self) -> None:
        with _sdl_settings():
            pygame, controller = _pygame()
            try:
                for part in (pygame.display, pygame.joystick, controller):
                    if not part.get_init():
                        part.init()
                        if part not in self._owned:
                            self._owned.append(part)
            except pygame.error as error:
                self._shut_down()
                raise DeviceError(f"SDL cannot read game controllers here: {error}.") from error

    def _restart(self) -> None:
        """Somebody else has shut pygame down; that must not end the reading."""
        try:
            self._start_sdl()
        except DeviceError:
            time.sleep(IDLE_PERIOD)

    def _shut_down(self) -> None:
        owned, self._owned = self._owned, []
        for part in reversed(owned):
            part.quit()


def _pygame() -> tuple[Any, Any]:
    """Pygame and its game controllers, imported when somebody first wants a gamepad."""
    import pygame
    from pygame._sdl2 import controller

    return pygame, controller


def _sdl_error() -> type[Exception]:
    return _pygame()[0].error


@contextmanager
def _sdl_settings() -> Iterator[None]:
    """Settings that are not made already, only while SDL starts: processes started later are not concerned."""
    added = [key for key in SDL_SETTINGS if key not in os.environ]
    os.environ.update({key: SDL_SETTINGS[key] for key in added})
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)


JOYSTICKS = Joysticks()
