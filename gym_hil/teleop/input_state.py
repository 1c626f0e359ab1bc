"""Input state: which buttons are down, and what was pressed since the last poll."""

from __future__ import annotations

import enum
import math
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from gym_hil.errors import DeviceError, check
from gym_hil.teleop.device import Device, Event, TeleopCommand, is_copying_env
from gym_hil.teleop.modes import InterventionMode

SILENCE_TIMEOUT = 0.25  # s without a report, after which a device counts as disconnected
RESUME_WITHIN = 2.0  # s after the last report; an operator who is back by then goes on driving
DEADZONE = 0.1  # of an axis' range


class Button(enum.Enum):
    """Everything that can be pressed; the value is its text in a legend."""

    INTERVENE = "take over / hand back"
    FORWARD = "move forward"
    BACK = "move back"
    LEFT = "move left"
    RIGHT = "move right"
    UP = "move up"
    DOWN = "move down"
    # About the axes of the robot's base frame: x forward, y left, z up. The hand is tilted as seen from the base.
    TURN_X_PLUS = "tilt the hand right (roll)"
    TURN_X_MINUS = "tilt the hand left (roll)"
    TURN_Y_PLUS = "tilt the hand forward (pitch)"
    TURN_Y_MINUS = "tilt the hand back (pitch)"
    TURN_Z_PLUS = "turn the hand left (yaw)"
    TURN_Z_MINUS = "turn the hand right (yaw)"
    TURN = "turn with the sticks while held"
    CLOSE = "close the gripper"
    OPEN = "open the gripper"
    SUCCESS = "end the episode as a success"
    FAILURE = "end the episode as a failure"
    RERECORD = "discard the episode and record it again"
    STOP = "emergency stop: hold still until pressed again"
    DELETE_LAST = "delete the last episode, between episodes; press twice"
    QUIT = "quit; press twice"


# Direction buttons, which follow INTERVENE -> component of the motion, and its sign: two a component, plus first.
DIRECTIONS: dict[Button, tuple[int, float]] = {
    button: (number // 2, 1.0 - 2.0 * (number % 2)) for number, button in enumerate(list(Button)[1:13])
}
ROTATION = (3, 4, 5)  # components of the motion that turn
EVENTS: dict[Button, Event] = {Button[event.name]: event for event in Event}
# Buttons that count when they are pressed twice, because an accident costs an episode, and what they ask for meanwhile.
CONFIRMED: dict[Button, str] = {
    Button.DELETE_LAST: "press again to delete the last episode",
    Button.QUIT: "press again to quit",
}
CONFIRM_WITHIN = 3.0  # s between the two presses
PENDING: dict[Event, str] = {
    Event.SUCCESS: "ends as a success at the next step",
    Event.FAILURE: "ends as a failure at the next step",
    Event.RERECORD: "is discarded at the next step",
    Event.DELETE_LAST: "the last episode is deleted",
    Event.QUIT: "quits at the next step",
}
GRIPPER: dict[Button, int] = {Button.CLOSE: 1, Button.OPEN: -1}


def apply_deadzone(value: float, deadzone: float) -> float:
    """An axis in [-1, 1] without its dead zone; the rest is stretched to the full range."""
    # 0.0 is added so that there is no negative zero.
    return math.copysign(max(abs(value) - deadzone, 0.0) / (1.0 - deadzone), value) + 0.0


def check_deadzone(deadzone: float) -> float:
    """The same number; a ConfigurationError unless it is in [0, 1)."""
    check(0 <= deadzone < 1, "deadzone", deadzone, "0 or more and less than 1")
    return deadzone


class InputState:
    """Collects the reports of a device, from any thread and at any time, into one command for each poll.

    A press counts once, even if the button is up again before the poll: an event is delivered once, the intervention
    button switches once, a direction or gripper button acts for one poll. Quit and delete count when they are pressed
    twice within `CONFIRM_WITHIN`. The emergency stop holds from one press to the next, over resets and silence. A held
    button needs no further reports as long as the device is connected; every report and `heartbeat` says that it is.

    After `silence_timeout` without a report, or after `disconnect`, the motion is zero, the gripper is left alone and
    every button counts as released. The operator still drives, without moving, until `RESUME_WITHIN`: if reports come
    back by then the intervention goes on, otherwise it ends. Events that were pressed before are delivered either way.

    Args:
        intervention: `toggle`, `stay`, `hold` or `auto`.
        silence_timeout: s.
        clock: s, monotonic.

    Attributes:
        press_count: number of presses so far.
        was_used: whether anything was pressed or moved so far.
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
        self._mode = InterventionMode(intervention)
        self._last_report = -math.inf  # s
        self._silent_since: float | None = None  # s, while disconnected
        self._motion = np.zeros(6)
        self._idle = np.zeros(6, dtype=bool)  # components of the motion that change nothing in the environment
        self._has_gripper = True
        self._gripped = False
        self._held: dict[Button, set[Hashable]] = {}  # button that is down -> what holds it down, such as keys
        self._pressed: set[Button] = set()  # direction and gripper buttons pressed since the last poll
        self._intervene_presses = 0  # since the last poll
        self._events: list[Event] = []  # since the last poll
        # Buttons that were down when the device went silent: still down when it comes back is no new press.
        self._down_before_silence: set[Button] = set()
        self._order: dict[Button, int] = {}  # number of each button's last press
        self.press_count = 0  # so far
        self.was_used = False
        self._stopped = False
        self._unconfirmed: tuple[Button, float] | None = None  # pressed once, and when, in s

    @property
    def intervention(self) -> str:
        """The intervention mode."""
        return self._mode.name

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop holds the robot still."""
        return self._stopped

    @property
    def pending(self) -> str | None:
        """What was pressed and waits for the next poll, or for a second press; of several the one that decides."""
        with self._lock:
            if self._unconfirmed is not None and self._clock() - self._unconfirmed[1] <= CONFIRM_WITHIN:
                return CONFIRMED[self._unconfirmed[0]]
            return PENDING[self._events[-1]] if self._events else None

    @property
    def intervention_legend(self) -> str:
        """What the intervention button does."""
        return self._mode.legend

    @property
    def held(self) -> frozenset[Button]:
        """Buttons that are down."""
        with self._lock:
            return frozenset(self._held)

    @property
    def idle_buttons(self) -> frozenset[Button]:
        """Buttons that do nothing in the environment."""
        idle = {button for button, (axis, _) in DIRECTIONS.items() if self._idle[axis]}
        if self._idle[list(ROTATION)].all():
            idle.add(Button.TURN)
        return frozenset(idle if self._has_gripper else idle | GRIPPER.keys())

    def set_controls(self, axes: Collection[int], *, has_gripper: bool) -> None:
        """Leave out of commands what the environment cannot do; see `Device.set_controls`."""
        with self._lock:
            self._idle = np.array([axis not in axes for axis in range(6)])
            self._has_gripper = has_gripper

    def set_intervention(self, mode: str) -> None:
        """Change the intervention mode, which ends an intervention."""
        made = InterventionMode(mode)
        with self._lock:
            self._mode = made

    def set_motion(self, motion: ArrayLike, *, is_report: bool = True) -> None:
        """Report the position of sticks and axes; it holds until the next report.

        Args:
            motion: (6,) fractions of full speed; clipped to [-1, 1]. Direction buttons are added to it.
            is_report: False if it is computed from an earlier report, and so does not show that the device is there.
        """
        values = np.asarray(motion, dtype=np.float64)
        if values.shape != (6,) or not np.isfinite(values).all():
            raise DeviceError(f"motion is {motion!r}; expected 6 finite numbers: x, y, z and a rotation vector.")
        with self._lock:
            if is_report:
                self._report()
            self._motion = np.minimum(np.maximum(values, -1.0), 1.0)
            self.was_used = self.was_used or bool(self._motion.any())

    def set_gripped(self, gripped: bool) -> None:
        """Report whether the operator holds on to the tool, as by a clutch: for `auto` that is motion, also at rest."""
        with self._lock:
            self._gripped = gripped

    def take_over(self) -> None:
        """Press the intervention button if that takes over, but not if it would hand back."""
        with self._lock:
            if not self._mode.engaged ^ (self._intervene_presses % 2 == 1):
                self._report()
                self._count(Button.INTERVENE)

    def press(self, button: Button, source: Hashable = None) -> None:
        """Report that a source of a button, such as one of its keys, went down; the button is down while one is."""
        with self._lock:
            self._report()
            self._down_before_silence.discard(button)
            self._press(button, source)

    def release(self, button: Button, source: Hashable = None) -> None:
        """Report that a source of a button came up."""
        with self._lock:
            self._report()
            self._down_before_silence.discard(button)
            sources = self._held.get(button, set())
            sources.discard(source)
            if not sources:
                self._held.pop(button, None)

    def tap(self, button: Button) -> None:
        """Report a press and release at once."""
        with self._lock:
            self._report()
            self._count(button)

    def set_held(self, buttons: Iterable[Button]) -> None:
        """Report all buttons that are down, for devices that report states; new ones give events in this order."""
        down = dict.fromkeys(buttons)
        with self._lock:
            self._report()
            for button in [button for button in self._held if button not in down]:
                del self._held[button]
            for button in down:
                if button in self._down_before_silence:
                    self._held.setdefault(button, {None})
                else:
                    self._press(button, None)
            self._down_before_silence.clear()

    def heartbeat(self) -> None:
        """Report that the device is there and nothing has changed."""
        with self._lock:
            self._report()

    def disconnect(self, *, end_intervention: bool = False) -> None:
        """Report that the device is gone (unplugged, focus lost), or for good: that also ends the intervention."""
        with self._lock:
            self._fall_silent(self._clock())
            if end_intervention:
                self._mode.end()

    def reset(self) -> None:
        """Drop what was pressed since the last poll and end the intervention; held buttons and the motion stay.

        In the mode `stay` the intervention goes on.
        """
        with self._lock:
            self._drop_presses()
            self._events.clear()
            self._mode.reset()

    def start_episode(self) -> None:
        """Drop what was pressed since the last poll, except presses of the intervention button."""
        with self._lock:
            self._pressed.clear()
            self._events.clear()

    def poll(self) -> TeleopCommand:
        """The command of this control step."""
        with self._lock:
            now = self._clock()
            events = tuple(self._events)
            self._events.clear()
            self._check_silence(now)
            if self._stopped:
                self._drop_presses()
                return TeleopCommand(engaged=True, events=events, stopped=True)
            if self._silent_since is not None:
                return TeleopCommand(engaged=self._mode.engaged, events=events)
            active = self._pressed.union(self._held)
            motion = self._motion.copy()
            for button in active & DIRECTIONS.keys():
                axis, sign = DIRECTIONS[button]
                motion[axis] += sign
            motion = np.minimum(np.maximum(motion, -1.0), 1.0)
            motion[self._idle] = 0.0
            newest = max(active & GRIPPER.keys(), key=self._order.__getitem__, default=None)
            gripper = GRIPPER[newest] if newest is not None and self._has_gripper else 0
            engaged = self._mode.update(
                presses=self._intervene_presses,
                held=Button.INTERVENE in self._held,
                moving=gripper != 0 or self._gripped or bool(motion.any()),
                now=now,
            )
            self._drop_presses()
            return TeleopCommand(motion, gripper, engaged, events)

    def _report(self) -> None:
        now = self._clock()
        self._check_silence(now)
        self._silent_since, self._last_report = None, now

    def _check_silence(self, now: float) -> None:
        if now - self._last_report > self._timeout:
            self._fall_silent(self._last_report)
        if self._silent_since is not None and now - self._silent_since > RESUME_WITHIN:
            self._mode.end()

    def _fall_silent(self, since: float) -> None:
        if self._silent_since is None:
            self._silent_since = since
            self._down_before_silence.update(self._held)
            self._held.clear()
            self._drop_presses()
            self._motion = np.zeros(6)
            self._gripped = False

    def _press(self, button: Button, source: Hashable) -> None:
        if button not in self._held:
            self._count(button)
        self._held.setdefault(button, set()).add(source)

    def _count(self, button: Button) -> None:
        self.press_count += 1
        self.was_used = True
        self._order[button] = self.press_count
        if button in CONFIRMED and not self._is_confirmed(button):
            return
        if button in EVENTS:
            self._events.append(EVENTS[button])
        elif button is Button.STOP:
            self._stopped = not self._stopped
        elif button is Button.INTERVENE:
            self._intervene_presses += 1
        else:
            self._pressed.add(button)

    def _is_confirmed(self, button: Button) -> bool:
        """Whether this is the second of two presses."""
        before, now = self._unconfirmed, self._clock()
        confirms = before is not None and before[0] is button and now - before[1] <= CONFIRM_WITHIN
        self._unconfirmed = None if confirms else (button, now)
        return confirms

    def _drop_presses(self) -> None:
        self._pressed.clear()
        self._intervene_presses = 0


class InputDevice(Device):
    """A human's device: it reports to `self.inputs`, and this class answers the polls.

    A subclass fills `bindings`, from which the legend is made, and either overrides `read` or reports from a thread of
    its own.

    Args:
        intervention: `toggle`, `stay`, `hold` or `auto`.
        silence_timeout: s without a report or heartbeat, after which the device counts as disconnected.
        clock: s, monotonic.

    Attributes:
        inputs: the input state.
        bindings: control -> the button it is, or text for sticks and axes.
    """

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
        """Report to `self.inputs` what is new; called before each poll."""

    def poll(self) -> TeleopCommand:
        self.read()
        return self.inputs.poll()

    @property
    def present(self) -> bool:
        return self.inputs.was_used

    @property
    def pending(self) -> str | None:
        return self.inputs.pending

    def reset(self) -> None:
        self.read()  # so that what was pressed before is known, and can be dropped
        self.inputs.reset()

    def start_episode(self) -> None:
        self.read()
        self.inputs.start_episode()

    def __deepcopy__(self, memo: dict[int, Any]) -> Device:
        if not is_copying_env(memo):
            return self
        raise DeviceError(
            f"This {type(self).__name__} cannot be copied with its environment: the operator has only one. "
            "Copy an environment without device=, or use get_state() and set_state() of env.unwrapped."
        )

    def set_intervention(self, mode: str) -> None:
        self.inputs.set_intervention(mode)

    def set_controls(self, axes: Collection[int], *, has_gripper: bool) -> None:
        self.inputs.set_controls(axes, has_gripper=has_gripper)

    @property
    def can_turn(self) -> bool:
        """Whether a rotation changes anything in the environment."""
        return Button.TURN not in self.inputs.idle_buttons

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        idle = self.inputs.idle_buttons
        return [(control, self.label(meaning)) for control, meaning in self.bindings.items() if meaning not in idle]

    def label(self, meaning: Button | str) -> str:
        """The legend's text for a button, which for the intervention button depends on the mode."""
        if meaning is Button.INTERVENE:
            return self.inputs.intervention_legend
        return meaning.value if isinstance(meaning, Button) else meaning
