"""SDL's joystick events, read often enough that none is lost, and shared by all gamepads of this process."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gym_hil.errors import DeviceError

# The Linux kernel keeps 64 changes of a controller, which two moving sticks fill in 13 ms; later ones are lost.
ACTIVE_PERIOD = 0.008  # s between reads while a controller is connected
IDLE_PERIOD = 0.05  # s between looks for one
# What SDL reads from the environment when it starts.
SDL_SETTINGS = {
    "SDL_VIDEODRIVER": "dummy",  # pygame delivers events only with a display; ours needs none
    "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS": "1",
    "SDL_NO_SIGNAL_HANDLERS": "1",  # else SIGTERM no longer ends the process
    "SDL_JOYSTICK_THREAD": "1",  # Windows reports new controllers without a message loop of ours
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
}


@dataclass(frozen=True)
class JoystickEvents:
    """What the joysticks reported since the previous read.

    pygame keeps the order among presses, among releases and among movements, not between these.
    """

    presses: list[tuple[int, int]]  # instance and button
    releases: list[tuple[int, int]]
    movements: list[tuple[int, int, float]]  # instance, axis and value in [-1, 1]
    changed: bool  # whether a joystick was plugged in or unplugged
    count: int  # joysticks now


class Joysticks:
    """Reads SDL's joystick events in a thread of its own and passes them to all listeners.

    Only joystick events are taken out of pygame's queue, so a program with a window keeps its own. When other code
    shuts pygame down, it is started again. A listener has `on_events`, called under the lock from any thread,
    `on_disconnect`, called when SDL was shut down, and `connected`: whether it uses a joystick.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._listeners: weakref.WeakSet[Any] = weakref.WeakSet()
        self._thread: threading.Thread | None = None  # ends when there are no listeners
        self._count = 0  # joysticks at the previous read
        self._owned: list[Any] = []  # pygame's modules that were started here, to be shut down again

    def add(self, listener: Any) -> None:
        """Begin to pass events to a listener; a DeviceError if SDL does not start."""
        with self._lock:
            self._start_sdl()
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gym_hil gamepads", daemon=True)
                self._thread.start()
                atexit.register(self._end)  # before pygame's own, because it is registered later

    def discard(self, listener: Any) -> None:
        """Pass no more events to a listener; without any, SDL is shut down if it was started here."""
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners:
                self._shut_down()

    def read(self) -> None:
        """Pass on what has been reported by now."""
        import pygame

        with self._lock:
            try:
                events = self._events()
                for listener in list(self._listeners):
                    listener.on_events(events)
            except pygame.error:
                for listener in list(self._listeners):
                    listener.on_disconnect()
                # Other code has shut pygame down.
                try:
                    self._start_sdl()
                except DeviceError:
                    time.sleep(IDLE_PERIOD)

    def _run(self) -> None:
        active = False
        while True:
            time.sleep(ACTIVE_PERIOD if active else IDLE_PERIOD)
            with self._lock:
                if not self._listeners:
                    self._thread = None
                    self._shut_down()  # where all were garbage-collected
                    return
                self.read()
                active = any(listener.connected is not None for listener in self._listeners)

    def _end(self) -> None:
        with self._lock:
            self._listeners.clear()
            thread = self._thread
        if thread is not None:
            thread.join()  # without the lock, which the thread may be waiting for

    def _events(self) -> JoystickEvents:
        import pygame

        # pygame can only pump all events, and those of real windows belong to the thread that polls.
        if threading.current_thread() is not self._thread or pygame.display.get_driver() == "dummy":
            pygame.event.pump()

        def take(kind: int) -> list[Any]:
            return pygame.event.get(kind, pump=False)

        count = pygame.joystick.get_count()
        changed = bool(take(pygame.JOYDEVICEADDED)) or count != self._count
        self._count = count
        try:
            changed |= bool(take(pygame.JOYDEVICEREMOVED))
        except SystemError:  # pygame fails on a joystick that it has never opened: pygame's issue 3634
            changed = True
        return JoystickEvents(
            presses=[(event.instance_id, event.button) for event in take(pygame.JOYBUTTONDOWN)],
            releases=[(event.instance_id, event.button) for event in take(pygame.JOYBUTTONUP)],
            movements=[(event.instance_id, event.axis, event.value) for event in take(pygame.JOYAXISMOTION)],
            changed=changed,
            count=count,
        )

    def _start_sdl(self) -> None:
        with _sdl_settings():
            import pygame

            try:
                for module in (pygame.display, pygame.joystick):
                    if not module.get_init():
                        module.init()
                        if module not in self._owned:
                            self._owned.append(module)
            except pygame.error as error:
                self._shut_down()
                raise DeviceError(f"SDL cannot read game controllers here: {error}.") from error

    def _shut_down(self) -> None:
        owned, self._owned = self._owned, []
        for module in reversed(owned):
            module.quit()


@contextlib.contextmanager
def _sdl_settings() -> Iterator[None]:
    """Make settings that are not made already, only while SDL starts: processes started later do not inherit them."""
    added = [key for key in SDL_SETTINGS if key not in os.environ]
    os.environ.update({key: SDL_SETTINGS[key] for key in added})
    try:
        yield
    finally:
        for key in added:
            os.environ.pop(key, None)


JOYSTICKS = Joysticks()
