"""What survives between two control steps: presses are kept until they are polled; silence lets go of everything."""

from __future__ import annotations

import enum
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from gym_hil.errors import DeviceError
from gym_hil.teleop.device import Device, Event, TeleopCommand
from gym_hil.teleop.modes import make_mode

SILENCE_TIMEOUT = 0.25  # s without a word from a device, after which nobody is there


class Button(enum.Enum):
    """Everything that can be pressed; the value is what a legend says about it."""

    INTERVENE = "take over / hand back"
    FORWARD = "move forward"
    BACK = "move back"
    LEFT = "move left"
    RIGHT = "move right"
    UP = "move up"
    DOWN = "move down"
    TURN_X_PLUS = "turn about x, counter-clockwise"
    TURN_X_MINUS = "turn about x, clockwise"
    TURN_Y_PLUS = "turn about y, counter-clockwise"
    TURN_Y_MINUS = "turn about y, clockwise"
    TURN_Z_PLUS = "turn about z, counter-clockwise"
    TURN_Z_MINUS = "turn about z, clockwise"
    CLOSE = "close the gripper"
    OPEN = "open the gripper"
    SUCCESS = "end the episode as a success"
    FAILURE = "end the episode as a failure"
    RERECORD = "discard the episode and record it again"
    QUIT = "quit"


# Direction buttons -> component of the motion, and its sign.
DIRECTIONS: dict[Button, tuple[int, float]] = {
    Button.FORWARD: (0, 1.0),
    Button.BACK: (0, -1.0),
    Button.LEFT: (1, 1.0),
    Button.RIGHT: (1, -1.0),
    Button.UP: (2, 1.0),
    Button.DOWN: (2, -1.0),
    Button.TURN_X_PLUS: (3, 1.0),
    Button.TURN_X_MINUS: (3, -1.0),
    Button.TURN_Y_PLUS: (4, 1.0),
    Button.TURN_Y_MINUS: (4, -1.0),
    Button.TURN_Z_PLUS: (5, 1.0),
    Button.TURN_Z_MINUS: (5, -1.0),
}
EVENTS: dict[Button, Event] = {
    Button.SUCCESS: Event.SUCCESS,
    Button.FAILURE: Event.FAILURE,
    Button.RERECORD: Event.RERECORD,
    Button.QUIT: Event.QUIT,
}
GRIPPER: dict[Button, int] = {Button.CLOSE: 1, Button.OPEN: -1}


class InputState:
    """Collects what a device reports, from any thread and at any time, into one command for each poll.

    A press counts once, even if the button is up again before the poll: an event is delivered once, the intervention
    button switches once, a direction or gripper button acts for one poll. A held button stays held without further
    news as long as the device is alive: every report is a sign of life, and so is `heartbeat`. After
    `silence_timeout` without one the motion is zero, the gripper is left alone, the intervention is over and every
    button counts as released; events that were pressed before are still delivered.

    Args:
        intervention: `toggle`, `hold` or `auto`.
        silence_timeout: s.
        clock: s, never goes back; tests bring their own.

    Raises:
        ConfigurationError: no mode of intervention has that name.
    """

    def __init__(
        self,
        intervention: str = "toggle",
        *,
        silence_timeout: float = SILENCE_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._lock = threading.Lock()
        self._clock, self._timeout = clock, silence_timeout
        self._intervention = make_mode(intervention)
        self._heard = -math.inf
        self._motion = np.zeros(6)
        self._count = 0
        # Buttons that are down, and buttons pressed since the last poll, each with the number of its last press.
        self._held: dict[Button, int] = {}
        self._tapped: dict[Button, int] = {}
        self._presses = 0  # of the intervention button since the last poll
        self._events: list[Event] = []
        # Buttons that were down when the device went silent: still down when it comes back is no new press.
        self._stale: set[Button] = set()

    @property
    def intervention_legend(self) -> str:
        """What the intervention button does."""
        return self._intervention.legend

    def set_intervention(self, mode: str) -> None:
        """Change the mode of intervention; whoever is driving lets go.

        Raises:
            ConfigurationError: no mode has that name.
        """
        intervention = make_mode(mode)
        with self._lock:
            self._intervention = intervention

    def set_motion(self, motion: ArrayLike, *, heard: bool = True) -> None:
        """Report where sticks and axes stand; holds until the next report.

        Args:
            motion: (6,) fractions of full speed; clipped to [-1, 1]. Direction buttons are added to it.
            heard: whether this is a sign of life, and not something worked out from an earlier one.

        Raises:
            DeviceError: the shape is wrong or a value is not finite; the motion stays as it was.
        """
        values = np.asarray(motion, dtype=np.float64)
        if values.shape != (6,) or not np.isfinite(values).all():
            raise DeviceError(f"motion is {motion!r}; expected 6 finite numbers: x, y, z and a rotation vector.")
        with self._lock:
            if heard:
                self._hear()
            self._motion = np.minimum(np.maximum(values, -1.0), 1.0)

    def press(self, button: Button) -> None:
        """Report that a button went down; one that is down already is a key repeating itself and does not count."""
        with self._lock:
            self._hear()
            self._stale.discard(button)
            self._press(button)

    def release(self, button: Button) -> None:
        """Report that a button came up."""
        with self._lock:
            self._hear()
            self._stale.discard(button)
            self._held.pop(button, None)

    def tap(self, button: Button) -> None:
        """Report a press and release at once."""
        with self._lock:
            self._hear()
            self._note(button)

    def set_held(self, buttons: Iterable[Button]) -> None:
        """Report all buttons that are down, for devices that tell states instead of changes.

        Args:
            buttons: in any order; that of buttons that went down together is the order of their events.
        """
        down = dict.fromkeys(buttons)
        with self._lock:
            self._hear()
            for button in [button for button in self._held if button not in down]:
                del self._held[button]
            self._stale.intersection_update(down)
            for button in down:
                if button in self._stale:
                    self._held.setdefault(button, 0)
                else:
                    self._press(button)
            self._stale.clear()

    def heartbeat(self) -> None:
        """Report that the device is alive and nothing has changed."""
        with self._lock:
            self._hear()

    def silence(self) -> None:
        """Report that the device is gone (unplugged, focus lost), without waiting for the timeout."""
        with self._lock:
            self._heard = -math.inf
            self._let_go()

    def reset(self) -> None:
        """Drop what is pending and end the intervention; held buttons and the motion stay."""
        with self._lock:
            self._forget()
            self._events.clear()
            self._intervention.end()

    def poll(self) -> TeleopCommand:
        """Deliver what has come together since the last poll."""
        with self._lock:
            now = self._clock()
            events = tuple(self._events)
            self._events.clear()
            if now - self._heard > self._timeout:
                self._let_go()
                return TeleopCommand(events=events)
            active = {**self._held, **self._tapped}
            motion = self._motion.copy()
            for button in active:
                if button in DIRECTIONS:
                    axis, sign = DIRECTIONS[button]
                    motion[axis] += sign
            motion = np.minimum(np.maximum(motion, -1.0), 1.0)
            gripper = GRIPPER[max(active.keys() & GRIPPER, key=active.__getitem__)] if active.keys() & GRIPPER else 0
            engaged = self._intervention.update(
                presses=self._presses,
                held=Button.INTERVENE in self._held,
                moving=gripper != 0 or bool(motion.any()),
                now=now,
            )
            self._forget()
            return TeleopCommand(motion, gripper, engaged, events)

    def _hear(self) -> None:
        now = self._clock()
        if now - self._heard > self._timeout:
            # Whatever stood before the silence must not come back to life with the first word after it.
            self._let_go()
        self._heard = now

    def _press(self, button: Button) -> None:
        if button not in self._held:
            self._note(button)
            self._held[button] = self._count

    def _note(self, button: Button) -> None:
        self._count += 1
        if button in EVENTS:
            self._events.append(EVENTS[button])
        elif button is Button.INTERVENE:
            self._presses += 1
        else:
            self._tapped[button] = self._count

    def _forget(self) -> None:
        self._tapped.clear()
        self._presses = 0

    def _let_go(self) -> None:
        self._stale.update(self._held)
        self._held.clear()
        self._forget()
        self._motion = np.zeros(6)
        self._intervention.end()


class InputDevice(Device):
    """A device in an operator's hands: it reports into `self.inputs`, and this class answers the polls.

    A subclass fills `bindings`, from which the legend is made, and either overrides `read` or reports from a thread of
    its own.

    Args:
        intervention: `toggle`, `hold` or `auto`.
        silence_timeout: s without a report or heartbeat, after which nobody is there.
        clock: s, never goes back.
    """

    # What an operator touches -> the button it is, or words for sticks and axes.
    bindings: ClassVar[Mapping[str, Button | str]] = {}

    def __init__(
        self,
        *,
        intervention: str = "toggle",
        silence_timeout: float = SILENCE_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.inputs = InputState(intervention, silence_timeout=silence_timeout, clock=clock)

    def read(self) -> None:
        """Report news to the latch; called before each poll."""

    def poll(self) -> TeleopCommand:
        """See `Device.poll`."""
        self.read()
        return self.inputs.poll()

    def reset(self) -> None:
        """See `Device.reset`."""
        self.inputs.reset()

    def set_intervention(self, mode: str) -> None:
        """See `Device.set_intervention`."""
        self.inputs.set_intervention(mode)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """See `Device.legend`."""
        return [(control, self._words(meaning)) for control, meaning in self.bindings.items()]

    def _words(self, meaning: Button | str) -> str:
        if meaning is Button.INTERVENE:
            return self.inputs.intervention_legend
        return meaning.value if isinstance(meaning, Button) else meaning
