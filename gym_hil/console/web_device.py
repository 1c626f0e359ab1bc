"""The web page as an input device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_hil.console.messages import Bindings, Input, LegendPart, StickAxis
from gym_hil.display import ConsoleOptions, TlsOption
from gym_hil.rotations import quaternion_matrix, rotation_vector
from gym_hil.teleop import Button, InputDevice, TeleopCommand
from gym_hil.teleop.gamepad import BINDINGS as PAD_BINDINGS
from gym_hil.teleop.gamepad import STICKS, pad_legend
from gym_hil.teleop.input_state import RESUME_WITHIN, SILENCE_TIMEOUT
from gym_hil.teleop.keyboard import KEYS, key_legend

if TYPE_CHECKING:
    from gym_hil.console.channel import Channel
    from gym_hil.console.server import Console

# Name of a key -> `KeyboardEvent.code`, by the UI Events specification of the W3C. Letters are added below.
CODES = {
    "space": "Space",
    "up": "ArrowUp",
    "down": "ArrowDown",
    "left": "ArrowLeft",
    "right": "ArrowRight",
    "shift_l": "ShiftLeft",
    "shift_r": "ShiftRight",
    "ctrl_l": "ControlLeft",
    "ctrl_r": "ControlRight",
    "enter": "Enter",
    "keypad_enter": "NumpadEnter",
    "esc": "Escape",
    "backspace": "Backspace",
    **{key: f"Key{key.upper()}" for key in KEYS if len(key) == 1},
}
# Name of a gamepad's button -> its index in the standard layout of the Gamepad API of the W3C.
PAD_INDICES = {"a": 0, "b": 1, "x": 2, "y": 3, "lb": 4, "rb": 5, "lt": 6, "rt": 7, "back": 8, "start": 9}
# The same of the sticks' axes, and the sign that makes right and up positive.
PAD_AXES = {"left_x": (0, 1.0), "left_y": (1, -1.0), "right_x": (2, 1.0), "right_y": (3, -1.0)}


class WebDevice(InputDevice):
    """The console's page: keyboard, gamepad, touch and a target to drag, from any browser that has the link.

    The operator on the page that holds the control lock drives. When the page is closed or hidden, or its connection is
    lost, all motion stops; a page that is back within 2 s drives on, else the intervention ends.

    Args:
        env: the environment that is driven; without one the page shows nothing, but its input counts.
        host, port, allow_remote, tls, public_url: see `ConsoleOptions`.
        console: the console to appear on, or options of the one that all share, instead of the five before.
        intervention: `toggle`, `stay`, `hold` or `auto`.
        clock: s, never goes back.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        ConfigurationError: an option is unsafe, or differs from that of the console that runs already.
        DeviceError: the port is taken.
    """

    on_page = True

    def __init__(
        self,
        *,
        env: Any = None,
        host: str | None = None,
        port: int | None = None,
        allow_remote: bool | None = None,
        tls: TlsOption | None = None,
        public_url: str | None = None,
        console: Console | ConsoleOptions | None = None,
        intervention: str = "toggle",
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(intervention=intervention, clock=clock)
        from gym_hil.console import get_console

        if console is None:
            console = ConsoleOptions(host, port, allow_remote, tls, public_url)
        self.console = get_console(console) if isinstance(console, ConsoleOptions) else console
        self.applied = 0.0  # ms on the page's clock: the newest input that a poll has used
        self._mode = intervention
        self._env = env
        self._dragged: Input | None = None  # the newest input, while it says where the tool should go or turn
        self._sticks = np.zeros(6)
        self._time = 0.0
        self._clock = clock
        self._received = clock()
        self._shown: tuple[bool, str | None] = (False, None)  # emergency stop and what is pending, as the page shows it
        self.silent = False  # whether an operator who drives has sent nothing for a while
        self._channel: Channel | None = None if env is None else self.console.channel_for(env.unwrapped)
        if self._channel is not None:
            self._channel.device = self

    @classmethod
    def for_env(cls, env: Any, **options: Any) -> WebDevice:
        return cls(env=env, **options)

    def page_status(self) -> Mapping[str, Any]:
        """Fields of `messages.Status` that this device adds: none."""
        return {}

    def receive(self, message: Input) -> None:
        """Take in what the operator at the page does; called from the server's thread."""
        for change, button in message.changes:
            (self.inputs.press if change == "press" else self.inputs.release)(button)
        self.inputs.set_held(message.held)
        self._sticks = np.array(message.motion)
        is_dragged = message.target is not None or message.target_rotation is not None
        self._dragged = message if is_dragged else None
        if not is_dragged:  # otherwise the next poll computes the motion from the target
            self.inputs.set_motion(self._sticks)
        self._time = message.time
        self._received = self._clock()
        if self._channel is not None and (self.stopped, self.pending) != self._shown:
            self._shown = self.stopped, self.pending
            self._channel.refresh()

    def disconnect(self) -> None:
        """The page has lost its connection; called from the server's thread."""
        self._dragged = None
        self._received = -math.inf
        self.inputs.disconnect()

    def release(self) -> None:
        """The operator has given the control lock back; called from the server's thread."""
        self._dragged = None
        self.inputs.disconnect(end_intervention=True)

    def read(self) -> None:
        self.applied = self._time
        dragged = self._dragged
        base: Any = getattr(self._env, "unwrapped", None)
        if dragged is None or not hasattr(base, "tcp_target"):
            return
        # Computed at the step: the page does not know how far the previous step has moved the tool.
        motion = self._sticks.copy()
        if dragged.target is not None:
            motion[:3] += (np.array(dragged.target) - base.tcp_target) / self._env.get_wrapper_attr("full_speed")
        if dragged.target_rotation is not None and self.can_turn:
            turn = rotation_vector(quaternion_matrix(dragged.target_rotation) @ base.tcp_rotation_target.T)
            motion[3:] += turn / self._env.get_wrapper_attr("rotation_speed")
        self.inputs.set_motion(motion, is_report=False)

    def poll(self) -> TeleopCommand:
        command = super().poll()
        self._log_gap(command.engaged)
        return command

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop is on."""
        return self.inputs.stopped

    @property
    def present(self) -> bool:
        """Whether a page that is open holds the controls."""
        return self._time > 0 and self._clock() - self._received < RESUME_WITHIN

    def set_intervention(self, mode: str) -> None:
        super().set_intervention(mode)
        self._mode = mode
        if self._channel is not None:
            self._channel.send_bindings()

    def set_controls(self, axes: Collection[int], *, has_gripper: bool) -> None:
        super().set_controls(axes, has_gripper=has_gripper)
        if self._channel is not None:
            self._channel.send_bindings()

    def close(self) -> None:
        """Take no more input. The console stays open for others."""
        self.release()
        if self._channel is not None and self._channel.device is self:
            self._channel.device = None

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        return [(f"{part.title}: {control}", action) for part in self._legends() for control, action in part.rows]

    def describe(self) -> str:
        return f"{self.console.announcement()}\n{super().describe()}"

    def page_bindings(self, channel: int, requests: Sequence[str]) -> Bindings:
        """Which key and which button does what, for the page; `requests` are buttons offered by a training run."""
        idle = self.inputs.idle_buttons
        return Bindings(
            channel=channel,
            intervention=self._mode,  # type: ignore[arg-type]  # checked by InputState
            keys={CODES[key]: button.name for key, button in KEYS.items() if button not in idle},
            pad={str(PAD_INDICES[name]): button.name for name, button in PAD_BINDINGS.items() if button not in idle},
            sticks=[
                StickAxis(PAD_AXES[stick][0], turning, component, sign * PAD_AXES[stick][1])
                for (stick, turning), (component, sign) in STICKS.items()
                if self.can_turn or not turning
            ],
            buttons={button.name: self.label(button) for button in Button if button not in idle},
            legend=self._legends(),
            requests=list(requests),
        )

    def _log_gap(self, engaged: bool) -> None:
        silent = self._clock() - self._received > SILENCE_TIMEOUT
        if self._channel is None or (engaged and silent) == self.silent:
            return
        self.silent = not self.silent
        if self.silent:
            text = "no input from the page: the operator holds still, and hands back after 2 s"
        else:
            text = "input is back: the operator drives on" if engaged else "no input from the page for 2 s: handed back"
        self._channel.log_event("connection", text)

    def _legends(self) -> list[LegendPart]:
        idle = self.inputs.idle_buttons
        parts = [
            LegendPart("Keyboard", key_legend(self.label, idle=idle)),
            LegendPart("Gamepad", pad_legend(self.label, {}, idle)),
        ]
        if hasattr(getattr(self._env, "unwrapped", None), "tcp_target"):
            drag = [("drag the target", "move the tool there"), ("drag elsewhere", "look around")]
            if self.can_turn:
                drag[1:1] = [
                    ("drag a ring of the target", "turn the tool about the ring's axis"),
                    ("turn a second finger", "turn the tool left, right, with the first on the target"),
                ]
            parts.append(LegendPart("Mouse or finger", drag))
        return parts
